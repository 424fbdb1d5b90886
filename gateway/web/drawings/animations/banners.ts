// Animations of middle gifts, 400 × 400, shown in a banner.

import { bursting, falling, glow, hero, rays, rings, rising, scatter, spokeLines, swarm, twinkles, type Sheet } from "../blocks.ts";
import type { Animation, Flight, Layer } from "../lottie.ts";
import { line, type Picture } from "../picture.ts";
import * as art from "../pictures/delights.ts";
import { heart } from "../pictures/tokens.ts";
import { glintPicture, petal, scrap } from "../pictures/tokens.ts";
import { diamond } from "../pictures/treasures.ts";

function banner(seconds: number, shared: Record<string, Picture>, make: (sheet: Sheet) => Layer[]): Animation {
  const on = { width: 400, height: 400, seconds };
  return { ...on, shared, layers: make(on) };
}

const GIFT = { use: "gift" };
const tinted = (picture: Picture, tint: string): Picture => picture.map((part) => ({ ...part, fill: tint }));
const SCRAPS = {
  red: tinted(scrap, "#ff5d84"), green: tinted(scrap, "#06d6a0"), violet: tinted(scrap, "#8f75ff"),
  yellow: tinted(scrap, "#ffd23f"), blue: tinted(scrap, "#5ee7ff"),
};
const ALL_SCRAPS = Object.keys(SCRAPS);

/** A firework's sparks: lines that fly outwards from a point. */
function bang(at: readonly [number, number], tint: string, size: number, start: number): Layer {
  return { content: { flight: sparks(tint), start }, motion: { at, scale: [size, size], from: start, to: start + 1.12 } };
}

function sparks(tint: string): Flight {
  const rim = (reach: number, turn: number): Layer => ({
    content: [line(spokeLines(26, 44), tint, 2.6)],
    motion: {
      at: [50, 50],
      turn,
      scale: [[0, [5, 5]], [0.5, [reach, reach]], [1.1, [reach * 1.13, reach * 1.13]]],
      opacity: [[0, 100], [0.55, 100], [1.1, 0]],
      ease: "out",
    },
  });
  return { size: 100, layers: [rim(95, 0), rim(62, 15)] };
}

export const BANNERS: Record<string, Animation> = {
  confetti_burst: banner(2.8, { gift: art.confetti, ...SCRAPS }, (s) => [
    ...swarm(ALL_SCRAPS, { count: 26, size: [14, 26], over: 0.35, life: 1.9, start: 0.3, spin: 420, path: bursting([230, 190], 230, 0.9), ease: "out" }),
    hero(GIFT, s, 200, { turn: [[0, -30], [0.3, -16], [0.45, 8], [0.8, -4], [1.2, 0]] }),
    glow("#06d6a0", s, 340),
  ]),
  shades_drop: banner(2.8, { gift: art.sunglasses, glint: glintPicture }, (s) => [
    ...twinkles(s, 5, [140, 70], 60, 0.8),
    hero(GIFT, s, 260, {
      at: [[0, [200, -90]], [0.55, [200, 222]], [0.75, [200, 185]], [0.95, [200, 200]], [2.8, [200, 200]]],
      turn: [[0, -20], [0.55, 5], [0.8, -3], [1, 0]], scale: [260, 260],
    }),
    rays("#ff7a59", s, 362, 10),
    glow("#7c5cff", s, 330),
  ]),
  bouquet_open: banner(3, { gift: art.bouquet, petal, heart }, (s) => [
    ...swarm(["petal", "heart"], { count: 12, size: [16, 28], over: 1.4, life: 1.4, start: 0.3, spin: 200, path: bursting([200, 150], 190, 0.6) }),
    hero(GIFT, s, 225, { turn: [[0, -12], [0.5, 5], [1.2, -4], [2, 4], [3, 0]] }),
    rays("#ff9db1", s, 362, 12),
    glow("#e5737f", s, 340),
  ]),
  cork_pop: banner(3.2, { gift: art.champagne, cork: art.cork, bubble: art.bubble, glint: tinted(glintPicture, "#ffe9a0") }, (s) => [
    { content: { use: "cork" }, motion: { at: [[0.7, [188, 90]], [1.2, [310, -10]], [1.7, [420, 120]]], turn: [[0.7, 0], [1.7, 560]], scale: [30, 30], from: 0.7, to: 1.7, ease: "out" } },
    ...swarm(["bubble", "glint", "bubble"], { count: 22, size: [12, 34], over: 1.3, life: 1.1, start: 0.72, path: bursting([192, 96], 200, 0.9, 225, 90), ease: "out" }),
    hero(GIFT, s, 220, { at: [205, 215], turn: [[0, 0], [0.35, -7], [0.45, 7], [0.55, -7], [0.65, 7], [0.75, -4], [1, 0]] }),
    ...swarm(["bubble"], { count: 8, size: [10, 24], over: 1.6, life: 1.2, start: 0.4, path: rising(s, 0.95, 0.95), opacity: 70 }),
    glow("#e9c46a", s, 360),
  ]),
  beat_rings: banner(3.2, { gift: art.headphones, note: art.note, pink: tinted(art.note, "#ff9fcd") }, (s) => [
    ...swarm(["note", "pink"], { count: 8, size: [26, 44], over: 1.8, life: 1.2, start: 0.3, spin: 30, path: rising(s, 0.72, 1) }),
    hero(GIFT, s, 200, {
      scale: [[0, [0, 0]], [0.3, [225, 225]], [0.5, [190, 190]], [0.8, [212, 212]], [1.1, [190, 190]], [1.4, [212, 212]], [1.7, [190, 190]], [2, [212, 212]], [2.3, [190, 190]], [2.8, [200, 200]], [3.2, [120, 120]]],
    }),
    ...rings("#7f97ff", s, 420, 5, 0.4, 0.42),
    glow("#4361ee", s, 340),
  ]),
  string_wave: banner(3.4, { gift: art.guitar, note: tinted(art.note, "#ffd98a"), white: art.note }, (s) => [
    ...swarm(["note", "white"], { count: 9, size: [24, 42], over: 1.9, life: 1.2, start: 0.5, spin: 40, path: bursting([200, 200], 200, -0.3, 200, 140) }),
    hero(GIFT, s, 235, { turn: [[0, -40], [0.5, 8], [0.8, -8], [1.1, 8], [1.4, -8], [1.7, 8], [2, -6], [2.4, 4], [3.4, 0]] }),
    ...rings("#f3b66c", s, 400, 4, 0.7, 0.4),
    glow("#bc6c25", s, 350),
  ]),
  crown_descend: banner(3.4, { gift: art.crown, glint: tinted(glintPicture, "#fff2b0") }, (s) => [
    ...twinkles(s, 10, [170, 140], 50, 0.7),
    hero(GIFT, s, 230, {
      at: [[0, [200, -110]], [0.9, [200, 212]], [1.15, [200, 192]], [1.4, [200, 200]], [3.4, [200, 200]]],
      scale: [[0, [180, 180]], [0.9, [245, 215]], [1.15, [228, 238]], [1.4, [230, 230]], [3, [230, 230]], [3.4, [140, 140]]], ease: "out",
    }),
    rays("#ffd23f", s, 362, 14),
    glow("#f4b400", s, 360),
  ]),
  banner_wave: banner(3.4, { gift: art.fan_banner, heart, ...SCRAPS }, (s) => [
    ...swarm(["heart", ...ALL_SCRAPS], { count: 16, size: [14, 26], over: 1.6, life: 1.5, start: 0.3, spin: 260, path: falling(s) }),
    hero(GIFT, s, 235, { at: [200, 205], turn: [[0, -36], [0.6, 14], [1.1, -12], [1.6, 12], [2.1, -10], [2.6, 8], [3.4, 0]] }),
    glow("#9d4edd", s, 360),
  ]),
  fireworks_sky: banner(3.8, { spark: tinted(glintPicture, "#ffe9a0") }, () => [
    bang([200, 170], "#ffd23f", 250, 0.35), bang([95, 120], "#ff5d84", 170, 0.9), bang([305, 130], "#5ee7ff", 180, 1.25),
    bang([140, 255], "#06d6a0", 150, 1.7), bang([275, 250], "#b09bff", 160, 2.05), bang([200, 150], "#ff7b3d", 260, 2.5),
    ...swarm(["spark"], { count: 16, size: [10, 22], over: 2.2, life: 1.1, start: 0.6, path: (i) => [[40 + 320 * scatter(i), 100 + 120 * scatter(i, 2)], [40 + 320 * scatter(i), 260 + 100 * scatter(i, 2)]] }),
    ...[200, 95, 305].map((x, i): Layer => ({ content: [line("M50 0V60", "#ffe9a0", 5)], motion: { at: [[i * 0.4, [200 + (x - 200) * 0.3, 400]], [i * 0.4 + 0.4, [x, 160]]], scale: [60, 60], opacity: [[i * 0.4, 90], [i * 0.4 + 0.4, 0]], from: i * 0.4, to: i * 0.4 + 0.42, ease: "out" } })),
  ]),
  diamond_shine: banner(4, { gift: diamond, glint: glintPicture, spark: tinted(glintPicture, "#a5f0ff") }, (s) => [
    ...twinkles(s, 12, [165, 150], 58, 0.5),
    { content: [line("M20 90L62 10", "#ffffffc0", 10), line("M40 96L80 16", "#ffffff70", 4)], motion: { at: [[0.9, [40, 200]], [1.7, [360, 200]]], scale: [190, 190], opacity: [[0.9, 0], [1.2, 55], [1.7, 0]], from: 0.9, to: 1.7 } },
    hero(GIFT, s, 230, { turn: [[0, -25], [0.6, 5], [1, -2], [4, 3]] }),
    ...swarm(["spark"], { count: 14, size: [14, 32], over: 0.4, life: 1.3, start: 0.3, path: bursting([200, 200], 210, 0.1), ease: "out" }),
    rays("#5ee7ff", s, 362, 14),
    glow("#5ee7ff", s, 390),
  ]),
};
