// Animations over the whole screen, 1600 × 900: those in which something passes by.

import { bursting, scatter, scenery, spokeLines, swarm, twinkles, type Sheet } from "../blocks.ts";
import type { Animation, Layer, Track } from "../lottie.ts";
import type { Point } from "../path.ts";
import { down, ellipse, fill, line, out, rect, type Picture } from "../picture.ts";
import { glintPicture, petal } from "../pictures/tokens.ts";
import * as art from "../pictures/treasures.ts";

function screen(seconds: number, shared: Record<string, Picture>, make: (sheet: Sheet) => Layer[]): Animation {
  const on = { width: 1600, height: 900, seconds };
  return { ...on, shared, layers: make(on) };
}

/** Light over the lower edge, fading upwards, so that the scene has a floor on any picture. */
const floor = (tint: string, top: number): Picture => [fill(rect(0, top, 1600, 900 - top), down(`${tint}00`, `${tint}e0`))];

/** Wheels are layers of their own: they must turn while the body drives. */
function vehicle(body: Picture, wheels: readonly Point[], wheelSize: number, size: number, way: Track<Point>, turns: number): Layer[] {
  const scale = size / 100;
  const [first, last] = [way[0]![0], way.at(-1)![0]];
  const turning = wheels.map(([x, y]): Layer => ({
    content: { use: "wheel" },
    motion: {
      at: way.map(([t, p]) => [t, [p[0] + (x - 50) * scale, p[1] + (y - 50) * scale] as Point] as const),
      scale: [wheelSize * scale, wheelSize * scale],
      turn: [[first, 0], [last, 360 * turns]],
    },
  }));
  return [...turning, { content: body, motion: { at: way, scale: [size, size] } }];
}

const streaks = (tint: string, count: number, over: number, start: number): { shared: Record<string, Picture>; layers: Layer[] } => ({
  shared: { streak: art.streak.map((part) => ({ ...part, fill: tint })) },
  layers: swarm(["streak"], { count, size: [140, 420], over, life: 0.6, start, opacity: 70, path: (i) => [[1900, 140 + 660 * scatter(i, 2)], [-300, 140 + 660 * scatter(i, 2)]] }),
});

const speed = streaks("#ffb4b4", 22, 3.6, 0.3);

/** One swell: a strip of waves that drifts sideways. */
function swell(y: number, drift: number, tint: readonly [string, string], seconds: number): Layer {
  let d = `M-400 ${y}`;
  for (let x = -400; x < 2000; x += 200) d += `c66 -36 134 -36 200 0`;
  d += `V960H-400Z`;
  return {
    content: [fill(d, down(...tint))],
    motion: { anchor: [0, 0], at: [[0, [drift, 320]], [0.9, [drift * 0.7, 0]], [seconds - 0.9, [-drift * 0.7, 0]], [seconds, [-drift, 320]]] },
  };
}

export const JOURNEYS: Record<string, Animation> = {
  train_pass: screen(4.6, { wheel: art.wheel, puff: art.puff }, (s) => [
    ...swarm(["puff"], { count: 16, size: [90, 240], over: 2.8, life: 1.5, start: 0.4, path: (i) => { const x = -50 + 112 * i; return [[x, 330], [x - 90, 220], [x - 200, 90]]; } }),
    ...vehicle(art.trainBody, [[18, 84], [42, 84], [66, 84]], 0.23, 430, [[0.1, [-320, 560]], [1.7, [720, 556]], [2.6, [900, 560]], [4.3, [2000, 560]]], 9),
    ...[1, 2].map((k): Layer => ({
      content: [fill(rect(2, 34, 92, 42, 6), down(k % 2 ? "#ffb03a" : "#4fb0ff", k % 2 ? "#c46a0a" : "#1c5fc0")), ...[12, 40, 68].map((x) => fill(rect(x, 42, 18, 16, 3), "#fff6d6")), fill(rect(0, 72, 98, 8, 3), "#2b2e42"), fill(ellipse(22, 84, 11), "#1d1f2b"), fill(ellipse(22, 84, 5), "#ffd23f"), fill(ellipse(74, 84, 11), "#1d1f2b"), fill(ellipse(74, 84, 5), "#ffd23f")],
      motion: { at: [[0.1, [-320 - 430 * k, 560]], [1.7, [720 - 430 * k, 556]], [2.6, [900 - 430 * k, 560]], [4.3, [2000 - 430 * k, 560]]], scale: [430, 430] },
    })),
    scenery([line("M-20 752H1620", "#c9cfdd", 8), line(Array.from({ length: 11 }, (_, i) => `M${i * 160} 764h60`).join(""), "#7a5232", 14)], s),
    scenery(floor("#3a0d12", 480), s),
  ]),
  swan_lake: screen(5.2, { swan: art.swan, petal, glint: glintPicture }, (s) => [
    ...swarm(["petal"], { count: 16, size: [24, 44], over: 2.6, life: 2.2, start: 0.3, spin: 240, path: (i) => { const x = 1600 * scatter(i); return [[x, -60], [x - 80, 300], [x + 40, 600], [x - 60, 930]]; } }),
    swell(760, 120, ["#5fb4d8d0", "#0d3a66f0"], s.seconds),
    { content: { use: "swan" }, motion: { at: [[0.2, [1900, 560]], [1.6, [980, 552]], [2.6, [820, 566]], [3.6, [700, 554]], [5, [-320, 560]]], scale: [470, 470], turn: [[0.2, 0], [1.2, -2], [2.2, 2], [3.2, -2], [4.2, 1]] } },
    { content: { use: "swan" }, motion: { at: [[0.5, [2250, 600]], [1.9, [1330, 606]], [2.9, [1190, 596]], [3.9, [1060, 606]], [5.2, [0, 600]]], scale: [250, 250] } },
    swell(690, -160, ["#8fd0e8a0", "#1d5f92d0"], s.seconds),
    ...twinkles(s, 14, [720, 330], 70),
    scenery([fill(ellipse(800, 330, 250), out("#fff7dcd0", "#fff7dc00")), fill(ellipse(800, 330, 120), out("#fffbe8", "#ffedbf"))], s),
    scenery(floor("#10355e", 260), s),
  ]),
  car_drift: screen(5.6, { wheel: art.wheel, puff: art.puff, ...speed.shared }, (s) => [
    ...swarm(["puff"], { count: 18, size: [110, 280], over: 1.8, life: 1.5, start: 1.3, path: (i) => { const x = 330 + 30 * i; return [[x, 700], [x - 120, 650 - 40 * scatter(i)], [x - 260, 600 - 120 * scatter(i)]]; } }),
    ...vehicle(art.carBody, [[24, 72], [76, 72]], 0.24, 620, [[0.1, [2100, 560]], [1.4, [800, 560]], [2.2, [690, 556]], [3.6, [760, 560]], [4.3, [860, 560]], [5.3, [-560, 560]]], -14),
    { content: [fill(ellipse(50, 50, 46, 6), "#00000060")], motion: { at: [[0.1, [2100, 760]], [1.4, [800, 760]], [2.2, [690, 760]], [3.6, [760, 760]], [4.3, [860, 760]], [5.3, [-560, 760]]], scale: [640, 640] } },
    ...speed.layers,
    scenery(floor("#2a0710", 430), s),
  ]),
  yacht_sail: screen(6.2, { yacht: art.yacht, glint: glintPicture }, (s) => [
    swell(770, 200, ["#3fb7c9e0", "#0a3f5ff8"], s.seconds),
    { content: { use: "yacht" }, motion: { at: [[0.2, [-340, 520]], [2, [640, 500]], [3.2, [800, 530]], [4.4, [960, 500]], [6, [1980, 520]]], scale: [560, 560], turn: [[0.2, -4], [1.4, 4], [2.6, -4], [3.8, 4], [5, -4], [6, 3]] } },
    swell(710, -180, ["#63cfdad0", "#14607df0"], s.seconds),
    swell(650, 140, ["#9be4e8a0", "#1f7f97d0"], s.seconds),
    ...swarm(["glint"], { count: 18, size: [20, 50], over: 4.4, life: 1, start: 0.6, path: (i) => { const at: Point = [1600 * scatter(i), 680 + 180 * scatter(i, 2)]; return [at, [at[0], at[1] - 20]]; } }),
    scenery([fill(ellipse(1220, 230, 300), out("#ffe4a0c0", "#ffe4a000")), fill(ellipse(1220, 230, 110), out("#fffbe0", "#ffc94d"))], s),
    scenery(floor("#0a3550", 330), s),
  ]),
  castle_rise: screen(6.2, { castle: art.castle, hill: art.hill, glint: glintPicture }, (s) => [
    ...[[420, 250, "#ff8fb3", 2.1], [1190, 220, "#5ee7ff", 2.6], [300, 420, "#ffd23f", 3.2], [1310, 400, "#b09bff", 3.6], [560, 170, "#06d6a0", 4.1], [1060, 160, "#ff7b3d", 4.4]].map(([x, y, tint, from]): Layer => ({
      content: [line(spokeLines(24, 46), tint as string, 2.6)],
      motion: { at: [x as number, y as number], scale: [[from as number, [20, 20]], [(from as number) + 0.9, [330, 330]]], opacity: [[from as number, 100], [(from as number) + 0.5, 100], [(from as number) + 1, 0]], ease: "out", from: from as number, to: (from as number) + 1 },
    })),
    { content: { use: "hill" }, motion: { at: [[0, [800, 1250]], [0.8, [800, 840]], [5.5, [800, 840]], [6.2, [800, 1300]]], scale: [1700, 300] } },
    ...twinkles(s, 16, [560, 330], 80, 1.4),
    { content: { use: "castle" }, motion: { at: [[0.4, [800, 1320]], [1.7, [800, 430]], [1.95, [800, 462]], [2.2, [800, 450]], [5.3, [800, 450]], [6.2, [800, 1350]]], scale: [640, 640] } },
    { content: art.moon, motion: { at: [[0, [1180, 380]], [6.2, [1180, 260]]], scale: [260, 260], opacity: [[0, 0], [0.7, 90], [5.6, 90], [6.2, 0]] } },
    scenery(floor("#1c1450", 100), s),
    ...swarm(["glint"], { count: 14, size: [14, 34], over: 4, life: 1.4, start: 0.3, path: bursting([800, 380], 780, 0.02) }),
  ]),
};
