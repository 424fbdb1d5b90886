// Animations of small gifts, 400 × 400, shown beside the feed.

import { bursting, falling, glow, hero, rings, rising, scatter, swarm, twinkles, type Sheet } from "../blocks.ts";
import type { Animation, Layer } from "../lottie.ts";
import { ellipse, fill, type Picture } from "../picture.ts";
import * as art from "../pictures/tokens.ts";

const sheet = (seconds: number): Sheet => ({ width: 400, height: 400, seconds });

function small(seconds: number, shared: Record<string, Picture>, make: (sheet: Sheet) => Layer[]): Animation {
  const on = sheet(seconds);
  return { ...on, shared, layers: make(on) };
}

const GIFT = { use: "gift" };
/** A copy in another colour, for confetti and sparks. */
const tinted = (picture: Picture, tint: string): Picture => picture.map((part) => ({ ...part, fill: tint }));


export const SMALL: Record<string, Animation> = {
  rose_fall: small(1.8, { gift: art.rose, petal: art.petal }, (s) => [
    ...swarm(["petal"], { count: 5, size: [20, 30], over: 0.5, life: 1.2, spin: 220, path: falling(s) }),
    hero(GIFT, s, 200, { turn: [[0, -18], [0.5, 6], [1, -3], [1.8, 4]] }),
    ...swarm(["petal"], { count: 6, size: [16, 24], over: 0.7, life: 1.1, spin: 200, path: falling(s), opacity: 80 }),
    glow("#ff5d84", s, 330),
  ]),
  heart_rise: small(1.8, { gift: art.heart }, (s) => [
    ...swarm(["gift"], { count: 9, size: [20, 46], over: 0.8, life: 1.0, path: rising(s, 0.75) }),
    hero(GIFT, s, 170, {
      scale: [[0, [0, 0]], [0.25, [195, 195]], [0.42, [160, 160]], [0.6, [185, 185]], [0.8, [165, 165]], [1.0, [185, 185]], [1.8, [120, 120]]],
    }),
    glow("#ff4d6d", s, 330),
  ]),
  clap_pulse: small(1.6, { gift: art.clap, glint: tinted(art.glintPicture, "#ffd166") }, (s) => [
    ...swarm(["glint"], { count: 8, size: [18, 34], over: 0.6, life: 0.6, start: 0.2, path: bursting([200, 180], 170, 0) }),
    hero(GIFT, s, 190, { turn: [[0, -10], [0.25, 8], [0.45, -8], [0.65, 8], [0.85, -8], [1.05, 6], [1.6, 0]] }),
    ...rings("#ffd166", s, 330, 3, 0.25, 0.25),
  ]),
  steam_rise: small(2, { gift: art.coffee, steam: art.steam }, (s) => [
    ...swarm(["steam"], { count: 6, size: [50, 76], over: 0.9, life: 1.0, start: 0.2, path: (i) => [[165 + 34 * (i % 3), 130], [160 + 38 * (i % 3), 80], [168 + 34 * (i % 3), 30]] }),
    hero(GIFT, s, 200, { at: [200, 220] }),
    glow("#c98a5a", s, 320),
  ]),
  drop_bounce: small(2, { gift: art.ice_cream, glint: art.glintPicture }, (s) => [
    ...twinkles(s, 6, [170, 170], 40),
    hero(GIFT, s, 210, {
      at: [[0, [200, -120]], [0.4, [200, 215]], [0.6, [200, 150]], [0.8, [200, 205]], [1.0, [200, 185]], [1.15, [200, 200]], [2, [200, 200]]],
      scale: [[0, [200, 200]], [0.38, [190, 225]], [0.46, [245, 165]], [0.62, [200, 215]], [0.82, [220, 190]], [1.1, [205, 205]], [1.7, [205, 205]], [2, [120, 120]]],
    }),
    glow("#f6a6c1", s, 330),
  ]),
  star_spin: small(2, { gift: art.starPicture, glint: tinted(art.glintPicture, "#fff0a0") }, (s) => [
    ...twinkles(s, 7, [170, 170], 44, 0.3),
    hero(GIFT, s, 200, { turn: [[0, -200], [0.9, 12], [1.2, -4], [2, 30]], ease: "out" }),
    ...swarm(["glint"], { count: 8, size: [16, 32], over: 0.2, life: 0.9, start: 0.25, path: bursting([200, 200], 190, 0.1) }),
    glow("#ffd23f", s, 380),
  ]),
  roll_across: small(2.2, { gift: art.doughnut, dot: [fill(ellipse(50, 50, 30), "#ff9fcd")] }, (s) => [
    hero(GIFT, s, 180, {
      at: [[0, [-110, 230]], [0.8, [200, 200]], [1.5, [215, 200]], [2.2, [520, 230]]],
      turn: [[0, -300], [0.8, 0], [1.5, 14], [2.2, 300]],
      scale: [180, 180], opacity: 100,
    }),
    ...swarm(["dot"], { count: 10, size: [12, 24], over: 1.5, life: 0.6, spin: 90, path: (i) => [[20 + i * 38, 290], [10 + i * 38, 250 - 50 * scatter(i)], [i * 38, 310]] }),
  ]),
  balloon_rise: small(2.4, { gift: art.balloon, blue: art.balloon.map((p, i) => (i === 1 ? { ...p, fill: { out: ["#8fd3ff", "#2f6fe0"] as const } } : i === 2 ? { ...p, fill: "#2a5fc4" } : p)) }, (s) => [
    hero(GIFT, s, 190, { at: [[0, [200, 480]], [0.9, [212, 205]], [1.6, [190, 180]], [2.4, [205, -120]]], scale: [190, 190], opacity: 100, turn: [[0, -8], [0.8, 8], [1.6, -6], [2.4, 8]] }),
    ...swarm(["blue", "gift"], { count: 5, size: [60, 95], over: 0.8, life: 1.6, path: rising(s, 1.15, 0.9) }),
  ]),
  badge_flash: small(2, { gift: art.fan_badge, glint: art.glintPicture }, (s) => [
    ...twinkles(s, 7, [150, 150], 46, 0.35),
    hero(GIFT, s, 205, { turn: [[0, 30], [0.5, -6], [0.8, 4], [1.1, 0], [2, 0]] }),
    ...rings("#b09bff", s, 380, 2, 0.3, 0.35),
    glow("#7c5cff", s, 360),
  ]),
  spray_mist: small(2.2, { gift: art.perfume, mist: art.mist, glint: art.glintPicture }, (s) => [
    ...swarm(["mist", "glint", "mist"], { count: 10, size: [34, 84], over: 0.9, life: 1.0, start: 0.4, path: (i) => [[205, 92], [250 + 60 * scatter(i), 30 + 130 * scatter(i, 2)], [320 + 60 * scatter(i), 10 + 180 * scatter(i, 2)]] }),
    hero(GIFT, s, 185, { at: [190, 230], turn: [[0, -14], [0.4, 4], [0.7, -4], [1, 2], [2.2, 0]] }),
    glow("#c78bd6", s, 340),
  ]),
  crane_glide: small(2.6, { gift: art.paper_crane, small: art.paper_crane }, (s) => [
    hero(GIFT, s, 190, {
      at: [[0, [-120, 330]], [0.9, [170, 190]], [1.6, [235, 215]], [2.6, [520, 40]]],
      scale: [[0, [150, 150]], [0.9, [200, 190]], [1.2, [200, 205]], [1.6, [200, 188]], [2.6, [150, 150]]],
      turn: [[0, -14], [0.9, 6], [1.6, -4], [2.6, -20]], opacity: 100,
    }),
    ...swarm(["small"], { count: 4, size: [44, 70], over: 0.6, life: 1.7, start: 0.2, path: (i) => [[-40, 340 - 60 * i], [180, 250 - 60 * i], [460, 120 - 50 * i]], opacity: 75 }),
    glow("#8ecae6", s, 330),
  ]),
};
