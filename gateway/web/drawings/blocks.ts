// Blocks that animations are put together from. Each gives layers; the first of an animation lies in front.

import type { Flight, Layer, Motion, Moving } from "./lottie.ts";
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
  const ring: Flight = {
    size: 100,
    layers: [
      {
        content: [line(ellipse(50, 50, 44), tint, 3)],
        motion: { at: [50, 50], scale: [[0, both(20)], [0.9, both(100)]], opacity: [[0, 0], [0.15, 90], [0.9, 0]], ease: "out" },
      },
    ],
  };
  return Array.from({ length: count }, (_, i) => {
    const from = start + i * step;
    return {
      content: { flight: ring, start: from },
      motion: { at: [sheet.width / 2, sheet.height / 2] as Point, scale: both(size), from, to: from + 0.95 },
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

/** So many of a swarm fly in their own way; the others fly the same ways, turned and stretched to their own goal. */
const WAYS = 4;

/** Many of the same, each on its own way. `pictures` names shared ones, which are taken in turn. */
export function swarm(pictures: readonly string[], plan: Swarm): Layer[] {
  const ways = pictures.length * Math.ceil(WAYS / pictures.length);
  const flights = Array.from({ length: Math.min(ways, plan.count) }, (_, i) => flight(pictures[i % pictures.length]!, plan, i));
  return Array.from({ length: plan.count }, (_, i) => {
    const from = (plan.start ?? 0) + (plan.over * i) / Math.max(plan.count - 1, 1);
    const model = flights[Math.floor(((i * 0.7548777) % 1) * flights.length)]!;
    const goal = span(plan.path(i));
    const turn = ((goal.angle - model.span.angle) * 180) / Math.PI;
    const stretch = model.span.length > 0 ? 100 * Math.min(1.5, Math.max(0.6, goal.length / model.span.length)) : 100;
    const middle = model.content.size / 2;
    return {
      content: { flight: model.content, start: from },
      motion: { at: plan.path(i)[0]!, anchor: [middle, middle] as Point, turn, scale: both(stretch), from, to: from + plan.life },
    };
  });
}

/** One way, from the middle of a sheet of its own, over the life of one of the swarm. */
function flight(picture: string, plan: Swarm, i: number): { content: Flight; span: { angle: number; length: number } } {
  const way = plan.path(i);
  const [small, large] = plan.size;
  const width = small + (large - small) * scatter(i, 1);
  const origin = way[0]!;
  const reach = Math.max(...way.map(([x, y]) => Math.hypot(x - origin[0], y - origin[1])));
  const middle = Math.ceil(reach + width);
  const life = plan.life * (0.8 + 0.2 * scatter(i, 3));
  const seen = plan.opacity ?? 100;
  const spin = (plan.spin ?? 0) * (i % 2 ? 1 : -1) * (0.5 + scatter(i, 2));
  const motion: Motion = {
    at: way.map(([x, y], k) => [(life * k) / (way.length - 1), [middle + x - origin[0], middle + y - origin[1]] as Point] as const),
    scale: both(width),
    ...(plan.spin === undefined ? {} : { turn: [[0, scatter(i, 5) * 60 - 30], [life, spin]] as Moving<number> }),
    opacity: [[0, 0], [0.12, seen], [life * 0.7, seen], [life, 0]],
    ease: plan.ease ?? "even",
  };
  return { content: { size: 2 * middle, layers: [{ content: { use: picture }, motion }] }, span: span(way) };
}

function span(way: readonly Point[]): { angle: number; length: number } {
  const [first, last] = [way[0]!, way.at(-1)!];
  return { angle: Math.atan2(last[1] - first[1], last[0] - first[0]), length: Math.hypot(last[0] - first[0], last[1] - first[1]) };
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

const TWINKLE: Flight = {
  size: 100,
  layers: [
    {
      content: { use: "glint" },
      motion: { at: [50, 50], scale: [[0, both(0)], [0.3, both(100)], [0.7, both(0)]], turn: [[0, 0], [0.7, 50]] },
    },
  ],
};

/** Glints that come and go around the middle; the animation must share a picture `glint`. */
export function twinkles(sheet: Sheet, count: number, reach: readonly [number, number], size: number, start = 0.4): Layer[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = i * 2.39996;
    const r = 0.45 + 0.55 * scatter(i, 2);
    const from = start + (sheet.seconds - start - 0.9) * scatter(i, 1);
    const at: Point = [sheet.width / 2 + Math.cos(angle) * reach[0] * r, sheet.height / 2 + Math.sin(angle) * reach[1] * r];
    return {
      content: { flight: TWINKLE, start: from },
      motion: { at, scale: both(size * (0.5 + scatter(i, 3))), from, to: from + 0.72 },
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
