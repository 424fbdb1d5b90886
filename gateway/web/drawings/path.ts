// Paths: SVG path text (M L H V C S Q Z, either case) to cubic curves, which both SVG and Lottie can hold.

export type Point = readonly [number, number];

/** One subpath: `points[i]` with its tangents, relative to the point as Lottie wants them. */
export interface Curve {
  points: Point[];
  into: Point[];
  out: Point[];
  closed: boolean;
}

const ARGUMENTS: Record<string, number> = { M: 2, L: 2, H: 1, V: 1, C: 6, S: 4, Q: 4, Z: 0 };

/** All subpaths of a path text. */
export function curves(d: string): Curve[] {
  const pen = new Pen();
  for (const [command, numbers] of commands(d)) pen.draw(command, numbers);
  return pen.curves;
}

/** The corners of the box around all points of a path (control points left out: close enough for a gradient). */
export function bounds(d: string): { left: number; top: number; right: number; bottom: number } {
  const points = curves(d).flatMap((curve) => curve.points);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

function* commands(d: string): Generator<[string, number[]]> {
  for (const [, letter, text] of d.matchAll(/([a-zA-Z])([^a-zA-Z]*)/g) as Iterable<[string, string, string]>) {
    const size = ARGUMENTS[letter.toUpperCase()];
    const numbers = (text.match(/-?\d*\.?\d+/g) ?? []).map(Number);
    if (size === undefined || (size === 0) !== (numbers.length === 0) || (size && numbers.length % size)) {
      throw new Error(`cannot draw ${letter}${text}`);
    }
    if (size === 0) yield [letter, []];
    for (let at = 0; at < numbers.length; at += size || 1) {
      const follows = at > 0 && letter.toUpperCase() === "M" ? (letter === "M" ? "L" : "l") : letter;
      yield [follows, numbers.slice(at, at + size)];
    }
  }
}

class Pen {
  readonly curves: Curve[] = [];
  private at: Point = [0, 0];
  private control: Point | null = null;

  draw(letter: string, n: readonly number[]): void {
    const base: Point = letter === letter.toLowerCase() ? this.at : [0, 0];
    const p = (i: number): Point => [base[0] + n[i]!, base[1] + n[i + 1]!];
    const before = this.control;
    this.control = null;
    switch (letter.toUpperCase()) {
      case "M":
        this.at = p(0);
        this.curves.push({ points: [this.at], into: [[0, 0]], out: [[0, 0]], closed: false });
        return;
      case "L":
        return this.line(p(0));
      case "H":
        return this.line([base[0] + n[0]!, this.at[1]]);
      case "V":
        return this.line([this.at[0], base[1] + n[0]!]);
      case "C":
        return this.curve(p(0), p(2), p(4));
      case "S":
        return this.curve(before ? minus(twice(this.at), before) : this.at, p(0), p(2));
      case "Q": {
        const [c, end] = [p(0), p(2)];
        return this.curve(towards(this.at, c, 2 / 3), towards(end, c, 2 / 3), end);
      }
      case "Z":
        return this.close();
    }
  }

  private line(end: Point): void {
    this.curve(this.at, end, end);
    this.control = null;
  }

  private curve(leaving: Point, arriving: Point, end: Point): void {
    const curve = this.curves.at(-1)!;
    curve.out[curve.out.length - 1] = minus(leaving, this.at);
    curve.points.push(end);
    curve.into.push(minus(arriving, end));
    curve.out.push([0, 0]);
    this.control = arriving;
    this.at = end;
  }

  private close(): void {
    const curve = this.curves.at(-1)!;
    curve.closed = true;
    const [first, last] = [curve.points[0]!, curve.points.at(-1)!];
    if (curve.points.length > 1 && Math.hypot(first[0] - last[0], first[1] - last[1]) < 0.01) {
      curve.into[0] = curve.into.pop()!;
      curve.points.pop();
      curve.out.pop();
    }
    this.at = first;
  }
}

const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1]];
const twice = (a: Point): Point => [2 * a[0], 2 * a[1]];
const towards = (a: Point, b: Point, share: number): Point => [
  a[0] + (b[0] - a[0]) * share,
  a[1] + (b[1] - a[1]) * share,
];
