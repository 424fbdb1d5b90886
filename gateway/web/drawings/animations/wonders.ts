// Animations over the whole screen, 1600 × 900: those that happen in the middle of it.

import { bursting, glow, hero, rays, rings, scatter, scenery, swarm, twinkles, type Sheet } from "../blocks.ts";
import type { Animation, Layer } from "../lottie.ts";
import type { Point } from "../path.ts";
import { ellipse, fill, line, out, rect, type Picture } from "../picture.ts";
import * as art from "../pictures/legends.ts";
import { glintPicture } from "../pictures/tokens.ts";
import { puff } from "../pictures/treasures.ts";

function screen(seconds: number, shared: Record<string, Picture>, make: (sheet: Sheet) => Layer[]): Animation {
  const on = { width: 1600, height: 900, seconds };
  return { ...on, shared: { glint: glintPicture, ...shared }, layers: make(on) };
}

const tinted = (picture: Picture, tint: string): Picture => picture.map((part) => ({ ...part, fill: tint }));
const night = (tint: string, sheet: Sheet): Layer => scenery([fill(rect(0, 0, 1600, 900), out(`${tint}e8`, `${tint}70`))], sheet);

/** Stars that stand still and shimmer: one layer for each third of them. */
function stars(sheet: Sheet, count: number, tint = "#ffffff"): Layer[] {
  return [0, 1, 2].map((part): Layer => {
    const dots = Array.from({ length: count / 3 }, (_, i) => {
      const [x, y] = [Math.round(1600 * scatter(i * 3 + part)), Math.round(900 * ((i * 0.7548777 + part * 0.31) % 1))];
      return `M${x} ${y}v0.1`;
    });
    const picture = [line(dots.join(""), tint, 3 + part * 1.2)];
    const end = sheet.seconds;
    return scenery(picture, sheet, { opacity: [[0, 0], [0.6 + part * 0.2, 90], [end * 0.4, part === 1 ? 40 : 90], [end * 0.6, part === 1 ? 90 : 45], [end - 0.6, 90], [end, 0]] });
  });
}

export const WONDERS: Record<string, Animation> = {
  rocket_launch: screen(7.2, { rocket: art.rocket, flame: art.flame, puff }, (s) => {
    const way: [number, Point][] = [[0, [800, 1150]], [1, [800, 560]], [2.6, [800, 560]], [3.4, [800, 500]], [4.6, [800, -420]]];
    return [
      ...swarm(["puff"], { count: 26, size: [150, 380], over: 2.2, life: 1.9, start: 1.5, path: (i) => [[800, 860], [800 + (i % 2 ? 1 : -1) * 330 * scatter(i), 850 - 70 * scatter(i, 2)], [800 + (i % 2 ? 1 : -1) * 640 * scatter(i), 820 - 160 * scatter(i, 2)]] }),
      { content: { use: "rocket" }, motion: { at: way, scale: [480, 480], turn: [[1.2, 0], [1.4, -1], [1.6, 1], [1.8, -1], [2, 1], [2.2, -1], [2.4, 1], [2.6, 0]], ease: "in" } },
      ...[0, 1].map((k): Layer => ({
        content: { use: "flame" },
        motion: { anchor: [50, 4], at: way.map(([t, p]) => [t, [p[0], p[1] + 190] as Point] as const), turn: 180, scale: Array.from({ length: 24 }, (_, i) => [1.5 + i * 0.13, [(k ? -1 : 1) * (190 + 60 * scatter(i, k)), -(230 + 160 * scatter(i, k + 2))] as Point] as const), from: 1.5, to: 4.7, ease: "in", opacity: k ? 70 : 100 },
      })),
      ...swarm(["glint"], { count: 26, size: [20, 54], over: 1.4, life: 1.4, start: 4.1, path: bursting([800, 300], 760, 0.3), ease: "out" }),
      ...rings("#ffd98a", s, 1100, 3, 4.2, 0.3),
      ...stars(s, 66),
      night("#0b1030", s),
    ];
  }),
  phoenix_flight: screen(7.6, { body: art.phoenixBody, wing: art.wing, flame: art.flame, ember: [fill(ellipse(50, 50, 36), out("#fff0a0", "#ff540000"))] }, (s) => {
    const way: [number, Point][] = [[0.2, [800, 1300]], [1.8, [800, 430]], [2.6, [800, 470]], [3.4, [800, 430]], [4.2, [800, 470]], [5.2, [800, 430]], [6, [800, 480]], [7.2, [800, -500]]];
    const beat = (side: 1 | -1): Layer => ({
      content: { use: "wing" },
      motion: {
        anchor: [96, 62],
        at: way.map(([t, p]) => [t, [p[0] - 36 * side, p[1] - 10] as Point] as const),
        scale: Array.from({ length: 19 }, (_, i) => [0.2 + i * 0.39, [520 * side, i % 2 ? 400 : 560] as Point] as const),
        turn: Array.from({ length: 19 }, (_, i) => [0.2 + i * 0.39, side * (i % 2 ? -24 : 16)] as const),
      },
    });
    return [
      ...swarm(["ember"], { count: 22, size: [24, 80], over: 5, life: 1.5, start: 0.4, path: (i) => { const x = 200 + 1200 * scatter(i); return [[x, 940], [x + 80, 560], [x - 60, 160]]; } }),
      { content: { use: "body" }, motion: { at: way, scale: [540, 540] } },
      beat(1), beat(-1),
      ...swarm(["flame"], { count: 18, size: [150, 330], over: 4.6, life: 1.4, start: 0.2, path: (i) => { const x = 1600 * scatter(i); return [[x, 980], [x + 20, 820], [x - 10, 700]]; } }),
      rays("#ff8a1f", s, 1500, 16),
      glow("#ff5400", s, 1300),
      night("#2a0705", s),
    ];
  }),
  lion_roar: screen(8.2, { mane: art.mane, face: art.lionFace, shut: art.closedMouth, open: art.openMouth, spark: tinted(glintPicture, "#ffd98a") }, (s) => {
    const nod: [number, number][] = [[0, 0], [2.4, 0], [2.9, -7], [3.3, 6], [5, 5], [5.6, 0], [6, 0], [6.4, -5]];
    const head = (name: string, more = {}): Layer => hero({ use: name }, s, 640, { turn: nod, ...more });
    const shake: [number, [number, number]][] = Array.from({ length: 18 }, (_, i) => [3.2 + i * 0.1, [800 + (i % 2 ? 9 : -9), 450 + (i % 3) * 4]]);
    return [
      ...swarm(["spark"], { count: 24, size: [24, 70], over: 1.8, life: 1.5, start: 3.2, path: bursting([800, 560], 860, 0.15), ease: "out" }),
      head("open", { from: 3.15, to: 5.2, at: shake }), head("shut", { to: 3.15 }), { ...head("shut", { from: 5.2 }) },
      head("face", { at: [[0, [800, 450]], ...shake, [5.2, [800, 450]]] }),
      head("mane", { scale: [[0, [0, 0]], [0.5, [700, 700]], [0.9, [640, 640]], [2.9, [620, 620]], [3.3, [760, 760]], [3.8, [700, 700]], [4.3, [755, 755]], [5, [700, 700]], [5.6, [645, 645]], [7.7, [640, 640]], [8.2, [380, 380]]] }),
      ...rings("#ffd98a", s, 1600, 7, 3.2, 0.28),
      rays("#e09f3e", s, 1700, 18),
      glow("#e09f3e", s, 1350),
      night("#1f0f03", s),
    ];
  }),
  planet_orbit: screen(8.2, { globe: art.globe, ring: art.ringFront, moon: [fill(ellipse(50, 50, 40), out("#ffffff", "#8f9ad0"))] }, (s) => {
    const orbit = (phase: number, rx: number, ry: number): (readonly [number, Point])[] => Array.from({ length: 17 }, (_, i) => {
      const angle = phase + (i / 16) * 2 * Math.PI * 1.6;
      return [0.6 + i * 0.435, [800 + rx * Math.cos(angle), 450 + ry * Math.sin(angle)] as Point] as const;
    });
    return [
      hero({ use: "ring" }, s, 720, { turn: [[0, -14], [8.2, 10]] }),
      hero({ use: "globe" }, s, 720, { turn: [[0, 10], [8.2, -16]] }),
      { content: { use: "moon" }, motion: { at: orbit(0, 560, 190), scale: [90, 90], ease: "even", opacity: [[0.5, 0], [1, 100], [7.4, 100], [8, 0]] } },
      { content: { use: "moon" }, motion: { at: orbit(2.4, 690, 260), scale: [54, 54], ease: "even", opacity: [[0.5, 0], [1, 100], [7.4, 100], [8, 0]] } },
      ...twinkles(s, 14, [700, 380], 80),
      scenery([line(ellipse(800, 450, 560, 190), "#9cc9ff40", 2), line(ellipse(800, 450, 690, 260), "#9cc9ff30", 2)], s),
      glow("#5390d9", s, 1200),
      ...stars(s, 66),
      night("#060b2a", s),
    ];
  }),
  universe_bloom: screen(9.2, { galaxy: art.galaxy, violet: tinted(glintPicture, "#e0aaff"), blue: tinted(glintPicture, "#9bf6ff") }, (s) => [
    ...swarm(["glint", "violet", "blue"], { count: 30, size: [24, 80], over: 5.6, life: 2.2, start: 0.8, path: (i) => bursting([800, 450], 980, 0)(i).slice(0, 3), ease: "in" }),
    hero({ use: "galaxy" }, s, 1150, { turn: [[0, -220], [9.2, 160]], ease: "out", scale: [[0, [0, 0]], [1.2, [900, 900]], [3, [1000, 1000]], [6.5, [1180, 1180]], [8.3, [1250, 1250]], [9.2, [2100, 2100]]] }),
    hero({ use: "galaxy" }, s, 700, { turn: [[0, 160], [9.2, -320]], ease: "out", scale: [[0.4, [0, 0]], [2, [620, 620]], [8.3, [800, 800]], [9.2, [1600, 1600]]], opacity: [[0.4, 0], [1, 70], [8.5, 70], [9.2, 0]] }),
    ...rings("#c9a7ff", s, 1700, 4, 0.9, 0.5),
    rays("#8f5bff", s, 1800, 18),
    glow("#7b2cff", s, 1600),
    ...stars(s, 84),
    night("#0a0326", s),
  ]),
};
