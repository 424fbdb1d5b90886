// Lottie: pictures and motion to the JSON that the player reads. Times are seconds here and frames in the file.

import { bounds, curves, type Point } from "./path.ts";
import { colour, round, type Paint, type Part, type Picture } from "./picture.ts";

export const FRAMES_PER_S = 30;

/** A value that moves: [second, value] pairs in order. */
export type Track<T> = readonly (readonly [number, T])[];
export type Moving<T> = T | Track<T>;
export type Ease = "soft" | "out" | "in" | "back" | "even";

/** How a layer lies on the sheet: `at` is where `anchor` goes; scale in percent, turn in degrees, opacity 0 to 100. */
export interface Motion {
  at?: Moving<Point>;
  anchor?: Point;
  scale?: Moving<Point>;
  turn?: Moving<number>;
  opacity?: Moving<number>;
  ease?: Ease;
  /** Seconds when the layer is there; from start to end when absent. */
  from?: number;
  to?: number;
}

/** A little animation of its own, `size` wide and high, that several layers show at different times and places. */
export interface Flight {
  size: number;
  layers: readonly Layer[];
}

export interface Layer {
  content: Picture | { use: string } | { flight: Flight; start: number };
  motion: Motion;
}

export interface Animation {
  width: number;
  height: number;
  seconds: number;
  /** Pictures used by several layers, by name. */
  shared: Record<string, Picture>;
  /** The first lies in front. */
  layers: readonly Layer[];
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The file's text. */
export function lottie(animation: Animation): string {
  const frames = frame(animation.seconds);
  const flights = [...new Set(animation.layers.flatMap(({ content }) => ("flight" in content ? [content.flight] : [])))];
  const write = (each: Layer): Json => layer(each, frames, flights);
  const assets = [
    ...Object.entries(animation.shared).map(([id, picture]) => ({ id, layers: [write({ content: picture, motion: { anchor: [0, 0] } })] })),
    ...flights.map((flight, index) => ({ id: `f${index}`, layers: flight.layers.map(write) })),
  ];
  return JSON.stringify({
    v: "5.9.0",
    fr: FRAMES_PER_S,
    ip: 0,
    op: frames,
    w: animation.width,
    h: animation.height,
    ddd: 0,
    assets,
    layers: animation.layers.map(write),
  });
}

function layer({ content, motion }: Layer, frames: number, flights: readonly Flight[]): Json {
  const common = {
    ks: transform(motion),
    ip: motion.from === undefined ? 0 : frame(motion.from),
    op: motion.to === undefined ? frames : frame(motion.to),
  };
  if ("use" in content) return { ty: 0, refId: content.use, w: 100, h: 100, st: 0, ...common };
  if ("flight" in content) {
    const { flight, start } = content;
    return { ty: 0, refId: `f${flights.indexOf(flight)}`, w: flight.size, h: flight.size, st: frame(start), ...common };
  }
  return { ty: 4, shapes: content.map(group).reverse(), st: 0, ...common };
}

function transform(motion: Motion): Json {
  const ease = motion.ease ?? "soft";
  const ks: { [key: string]: Json } = { a: fixed([...(motion.anchor ?? [50, 50])]) };
  ks.p = moving(motion.at ?? [0, 0], ease);
  if (motion.scale !== undefined) ks.s = moving(motion.scale, ease);
  if (motion.turn !== undefined) ks.r = moving(motion.turn, ease);
  if (motion.opacity !== undefined) ks.o = moving(motion.opacity, "even");
  return ks;
}

function group(part: Part): Json {
  const items: Json[] = curves(part.d).map((curve) => ({
    ty: "sh",
    ks: fixed({ i: points(curve.into), o: points(curve.out), v: points(curve.points), c: curve.closed }),
  }));
  if (part.stroke !== undefined) {
    const [r, g, b, a] = colour(part.stroke);
    items.push({ ty: "st", c: fixed(rounded([r, g, b])), o: fixed(percent(a)), w: fixed(part.width ?? 3), lc: 2, lj: 2 });
  }
  if (part.fill !== undefined) items.push(fillOf(part.d, part.fill));
  // A group must end with a transform; what else it leaves out stands at its default.
  items.push({ ty: "tr", o: fixed(100) });
  return { ty: "gr", it: items };
}

function fillOf(d: string, paint: Paint): Json {
  if (typeof paint === "string") {
    const [r, g, b, a] = colour(paint);
    return { ty: "fl", c: fixed(rounded([r, g, b])), o: fixed(percent(a)) };
  }
  const box = bounds(d);
  const middle: Point = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const linear = "down" in paint;
  const [from, to] = (linear ? paint.down : paint.out).map(colour) as unknown as [number[], number[]];
  const stops = [0, ...from.slice(0, 3), 1, ...to.slice(0, 3), 0, from[3]!, 1, to[3]!];
  const reach = Math.max(box.right - box.left, box.bottom - box.top) / 2;
  return {
    ty: "gf",
    o: fixed(100),
    r: 1,
    t: linear ? 1 : 2,
    g: { p: 2, k: fixed(rounded(stops)) },
    s: fixed(rounded(linear ? [middle[0], box.top] : [...middle])),
    e: fixed(rounded(linear ? [middle[0], box.bottom] : [middle[0] + reach, middle[1]])),
    ...(linear ? {} : { h: fixed(0), a: fixed(0) }),
  };
}

function isTrack<T>(value: Moving<T>): value is Track<T> {
  return Array.isArray(value) && Array.isArray(value[0]);
}

function moving(value: Moving<Point> | Moving<number>, ease: Ease): Json {
  if (!isTrack<Point | number>(value as Moving<Point | number>)) return fixed(rounded([value as Point | number].flat()));
  const track = value as Track<Point | number>;
  if (track.length === 1) return fixed(rounded([track[0]![1]].flat()));
  return {
    a: 1,
    k: track.map(([second, at], index) => ({
      t: frame(second),
      s: [at].flat().map(short),
      ...(index < track.length - 1 ? EASES[ease] : {}),
    })),
  };
}

const EASES: Record<Ease, { i: Json; o: Json }> = {
  soft: { o: { x: 0.3, y: 0 }, i: { x: 0.7, y: 1 } },
  out: { o: { x: 0.15, y: 0.6 }, i: { x: 0.45, y: 1 } },
  in: { o: { x: 0.55, y: 0 }, i: { x: 0.85, y: 0.4 } },
  back: { o: { x: 0.3, y: 1.4 }, i: { x: 0.5, y: 1 } },
  even: { o: { x: 0, y: 0 }, i: { x: 1, y: 1 } },
};

// "a": 0, which says that a value does not move, may be left out.
const fixed = (k: Json): Json => ({ k: Array.isArray(k) && k.length === 1 ? k[0]! : k });
const frame = (seconds: number): number => Math.round(seconds * FRAMES_PER_S);
const percent = (share: number): number => Math.round(share * 100);
const rounded = (values: readonly number[]): number[] => values.map((value) => Math.round(value * 100) / 100);
const short = (value: number): number => (Math.abs(value) < 20 ? round(value) : Math.round(value));
const points = (list: readonly Point[]): Json => list.map(([x, y]) => [round(x), round(y)]);
