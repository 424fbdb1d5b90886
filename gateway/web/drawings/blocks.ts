// Blocks that animations are put together from. Each gives layers; the first of an animation lies in front.

import type { Layer, Motion, Moving } from "./lottie.ts";
import type { Point } from "./path.ts";
import { ellipse, fill, line, out, polygon, round, type Picture } from "./picture.ts";

/** What of the sheet a block works on, and how long the whole animation is. */
export interface Sheet {
  width: number;
  height: number;
  seconds: number;
}

/** Even but without a pattern: the fractional parts of a multiple of the golden ratio. */
export const scatter = (index: number, salt = 0): number => ((index + 1) * 0.618034 + salt * 0.37) % 1;

const both = (percent: number): Point => [percent, percent];

/** The gift itself, in the middle: comes in with a spring, breathes, and goes. `size` is its width on the sheet. */
export function hero(content: Layer["content"], sheet: Sheet, size: number, more: Motion = {}): Layer {
  const end = sheet.seconds;
  return {
    content,
    motion: {
      at: [sheet.width / 2, sheet.height / 2],
      scale: [
        [0, both(0)], [0.3, both(size * 1.15)], [0.5, both(size * 0.95)], [0.65, both(size)],
        [end * 0.5, both(size * 1.05)], [end - 0.35, both(size)], [end, both(size * 0.6)],
      ],
      opacity: [[0, 0], [0.15, 100], [end - 0.3, 100], [end, 0]],
      ...more,
    },
  };
}

/** A soft light behind. */
export function glow(tint: string, sheet: Sheet, size: number): Layer {
  const end = sheet.seconds;
  return {
    content: [fill(ellipse(50, 50, 50), out(`${tint}b0`, `${tint}00`))],
    motion: {
      at: [sheet.width / 2, sheet.height / 2],
      scale: [[0, both(size * 0.4)], [0.5, both(size)], [end * 0.6, both(size * 1.12)], [end, both(size * 0.8)]],
      opacity: [[0, 0], [0.3, 100], [end - 0.4, 90], [end, 0]],
    },
  };
}

/** A sunburst that turns slowly. */
export function rays(tint: string, sheet: Sheet, size: number, count = 12): Layer {
  const end = sheet.seconds;
  const wedges: Picture = Array.from({ length: count }, (_, i) => {
    const at = (turn: number): Point => {
      const angle = ((i + turn) * 2 * Math.PI) / count;
      return [50 + 50 * Math.cos(angle), 50 + 50 * Math.sin(angle)];
    };
    return { d: polygon([50, 50], at(-0.22), at(0.22)), fill: { out: [`${tint}a0`, `${tint}00`] } };
  });
  return {
    content: wedges,
    motion: {
      at: [sheet.width / 2, sheet.height / 2],
      scale: [[0, both(size * 0.2)], [0.6, both(size)], [end, both(size * 1.1)]],
      turn: [[0, 0], [end, end * 16]],
      opacity: [[0, 0], [0.5, 80], [end - 0.5, 80], [end, 0]],
      ease: "even",
    },
  };
}

/** The spokes of a firework or a sparkler around the middle of the sheet, as one path. */
export function spokeLines(inner: number, outer: number, count = 12): string {
  return Array.from({ length: count }, (_, i) => {
    const [c, s] = [Math.cos((i * 2 * Math.PI) / count), Math.sin((i * 2 * Math.PI) / count)];
    const r = i % 2 ? outer * 0.84 : outer;
    return `M${round(50 + inner * c)} ${round(50 + inner * s)}L${round(50 + r * c)} ${round(50 + r * s)}`;
  }).join("");
}

/** Rings that widen, one after another. */
export function rings(tint: string, sheet: Sheet, size: number, count: number, start = 0.1, step = 0.3): Layer[] {
  return Array.from({ length: count }, (_, i) => {
    const from = start + i * step;
    return {
      content: [line(ellipse(50, 50, 44), tint, 3)],
      motion: {
        at: [sheet.width / 2, sheet.height / 2] as Point,
        scale: [[from, both(size * 0.2)], [from + 0.9, both(size)]],
        opacity: [[from, 0], [from + 0.15, 90], [from + 0.9, 0]],
        ease: "out" as const,
        from,
        to: from + 0.95,
      },
    };
  });
}

export interface Swarm {
  count: number;
  /** Width of one on the sheet, smallest and largest. */
  size: readonly [number, number];
  /** Seconds between the first and the last one's start, and how long each one is there. */
  over: number;
  life: number;
  start?: number;
  spin?: number;
  /** Where one starts and where it ends; both on the sheet. */
  path: (index: number) => Point[];
  opacity?: number;
  ease?: Motion["ease"];
}

/** Many of the same, each on its own way. `picture` names shared ones, which are taken in turn. */
export function swarm(pictures: readonly string[], plan: Swarm): Layer[] {
  return Array.from({ length: plan.count }, (_, i) => {
    const from = (plan.start ?? 0) + (plan.over * i) / Math.max(plan.count - 1, 1);
    const to = from + plan.life * (0.8 + 0.2 * scatter(i, 3));
    const [small, large] = plan.size;
    const size = small + (large - small) * scatter(i, 1);
    const way = plan.path(i);
    const at = way.map((point, k) => [from + ((to - from) * k) / (way.length - 1), point] as const);
    const spin = (plan.spin ?? 0) * (i % 2 ? 1 : -1) * (0.5 + scatter(i, 2));
    const seen = plan.opacity ?? 100;
    return {
      content: { use: pictures[i % pictures.length]! },
      motion: {
        at,
        scale: both(size),
        ...(plan.spin === undefined ? {} : { turn: [[from, scatter(i, 5) * 60 - 30], [to, spin]] as Moving<number> }),
        opacity: [[from, 0], [from + 0.12, seen], [to, 0]],
        ease: plan.ease ?? "even",
        from,
        to,
      },
    };
  });
}

/** Ways for a swarm: down from above the sheet, swaying. */
export const falling = (sheet: Sheet) => (i: number): Point[] => {
  const x = sheet.width * scatter(i, 0);
  const sway = sheet.width * 0.07 * (i % 2 ? 1 : -1);
  const [top, h] = [-0.08 * sheet.height, sheet.height * 1.16];
  return [[x, top], [x + sway, top + h * 0.5], [x - sway * 0.6, top + h]];
};

/** Up from `floor` (a share of the height), swaying. */
export const rising = (sheet: Sheet, floor = 0.8, width = 0.8) => (i: number): Point[] => {
  const x = sheet.width * (0.5 + (scatter(i, 0) - 0.5) * width);
  const sway = sheet.width * 0.05 * (i % 2 ? 1 : -1);
  const h = sheet.height * floor;
  return [[x, h], [x + sway, h * 0.5], [x - sway, h * 0.05]];
};

/** Out from a point in all directions, then down a little. */
export const bursting = (from: Point, reach: number, fall = 0.35, turn = 0, arc = 360) => (i: number): Point[] => {
  const angle = ((turn + arc * scatter(i, 0)) * Math.PI) / 180;
  const r = reach * (0.55 + 0.45 * scatter(i, 4));
  const [x, y] = [Math.cos(angle) * r, Math.sin(angle) * r];
  return [from, [from[0] + x * 0.88, from[1] + y * 0.9 + reach * fall * 0.15], [from[0] + x * 1.06, from[1] + y + reach * fall]];
};

/** Glints that come and go around the middle. */
export function twinkles(sheet: Sheet, count: number, reach: readonly [number, number], size: number, start = 0.4): Layer[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = i * 2.39996;
    const r = 0.45 + 0.55 * scatter(i, 2);
    const from = start + (sheet.seconds - start - 0.9) * scatter(i, 1);
    const big = size * (0.5 + scatter(i, 3));
    return {
      content: { use: "glint" },
      motion: {
        at: [sheet.width / 2 + Math.cos(angle) * reach[0] * r, sheet.height / 2 + Math.sin(angle) * reach[1] * r] as Point,
        scale: [[from, both(0)], [from + 0.3, both(big)], [from + 0.7, both(0)]],
        turn: [[from, 0], [from + 0.7, 50]],
        from,
        to: from + 0.72,
      },
    };
  });
}

/** Something fixed over a part of the sheet that fades in and out: night, sky, ground. */
export function scenery(picture: Picture, sheet: Sheet, more: Motion = {}): Layer {
  const end = sheet.seconds;
  return {
    content: picture,
    motion: { at: [0, 0], anchor: [0, 0], opacity: [[0, 0], [0.5, 100], [end - 0.6, 100], [end, 0]], ...more },
  };
}
