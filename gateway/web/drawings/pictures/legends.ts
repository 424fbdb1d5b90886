// Pictures of the fourth tier.

import { down, ellipse, fill, glint, line, out, star, type Picture } from "../picture.ts";

export const flame: Picture = [
  fill("M50 98C30 78 24 56 34 30C38 42 44 36 50 4C58 36 64 42 66 30C76 56 70 78 50 98Z", down("#ffdd57", "#ff5400")),
  fill("M50 80C40 68 40 54 48 36C54 50 62 60 50 80Z", down("#ffffff", "#ffe680")),
];

export const rocket: Picture = [
  fill("M32 58C18 64 14 76 16 90L36 78Z", down("#ff7a7a", "#b81f2e")), fill("M68 58C82 64 86 76 84 90L64 78Z", down("#ff7a7a", "#b81f2e")),
  fill("M50 2C68 16 74 40 70 62C68 72 66 78 62 82H38C34 78 32 72 30 62C26 40 32 16 50 2Z", down("#ffffff", "#9aa6bd")),
  fill("M50 2C60 10 66 20 68.500 30H31.500C34 20 40 10 50 2Z", down("#ff8a7a", "#d62839")),
  fill("M50 2C42 14 38 40 40 82H38C34 78 32 72 30 62C26 40 32 16 50 2Z", "#ffffff50"),
  fill(ellipse(50, 46, 11), "#5f6b85"), fill(ellipse(50, 46, 8), down("#bff0ff", "#3a8fd0")), fill(ellipse(47, 43, 2.5), "#ffffff"),
  fill("M38 82H62L58 90H42Z", "#4a5169"), fill("M46 66H54L52 92H48Z", "#d62839"),
];

const feather = (path: string, from: string, to: string): Picture => [fill(path, down(from, to))];
export const wing: Picture = [
  ...feather("M96 60C80 30 50 10 4 6C10 22 20 30 30 34C20 34 14 34 10 32C18 46 28 52 40 54C32 58 28 58 24 58C36 70 56 78 80 76Z", "#ffd23f", "#f03a00"),
  ...feather("M94 62C80 40 58 26 28 20C36 32 44 38 54 42C48 44 44 44 40 44C52 58 66 68 84 70Z", "#fff0a0", "#ff8a1f"),
];
export const phoenixBody: Picture = [
  fill("M50 52C40 66 26 80 18 98C32 92 38 88 42 82C40 90 40 94 40 99C46 94 48 90 50 84C52 90 54 94 60 99C60 94 60 90 58 82C62 88 68 92 82 98C74 80 60 66 50 52Z", down("#ff9e1f", "#d81e05")),
  fill("M50 20C60 22 64 34 60 48C58 60 54 66 50 70C46 66 42 60 40 48C36 34 40 22 50 20Z", down("#ffe066", "#ff5400")),
  fill("M50 6C58 6 62 12 60 20C58 26 54 28 50 28C46 28 42 26 40 20C38 12 42 6 50 6Z", down("#ffe680", "#ff8a1f")),
  fill("M47 18H53L50 27Z", "#7a2a00"), fill(ellipse(46, 14, 1.8), "#3b1200"), fill(ellipse(54, 14, 1.8), "#3b1200"),
  fill("M44 8C42 2 38 0 34 0C38 4 40 8 42 12ZM56 8C58 2 62 0 66 0C62 4 60 8 58 12ZM50 7C49 2 49 0 50 -3C51 0 51 2 50 7Z", "#ffd23f"),
];
export const phoenix: Picture = [
  fill("M46 40C34 22 18 12 2 12C4 22 10 28 16 31C10 32 7 31 5 30C9 40 18 46 26 47C22 49 19 49 17 49C24 56 36 58 46 54Z", down("#ffd23f", "#f03a00")),
  fill("M54 40C66 22 82 12 98 12C96 22 90 28 84 31C90 32 93 31 95 30C91 40 82 46 74 47C78 49 81 49 83 49C76 56 64 58 54 54Z", down("#ffd23f", "#f03a00")),
  ...phoenixBody,
];

export const mane: Picture = [
  fill(star(50, 50, 49, 38, 14), down("#c9701f", "#6b2c0a")), fill(star(50, 50, 43, 34, 14, 12), down("#ec9a3c", "#a3501a")),
];
export const lionFace: Picture = [
  fill(ellipse(25, 27, 9), "#d98c33"), fill(ellipse(75, 27, 9), "#d98c33"), fill(ellipse(25, 27, 5), "#8a4210"), fill(ellipse(75, 27, 5), "#8a4210"),
  fill("M50 20C68 20 78 34 76 50C75 62 66 78 50 78C34 78 25 62 24 50C22 34 32 20 50 20Z", down("#ffd98a", "#e09f3e")),
  fill("M50 50C60 50 68 56 67 66C66 76 58 80 50 80C42 80 34 76 33 66C32 56 40 50 50 50Z", down("#fff6e0", "#f3d6a0")),
  fill("M42 50H58C58 56 54 60 50 60C46 60 42 56 42 50Z", down("#7a3b24", "#3b1a10")),
  line("M50 60V66", "#5c2a16", 2.5),
  fill("M33 38C36 34 43 35 45 41C41 44 36 44 33 38Z", "#ffffff"), fill("M67 38C64 34 57 35 55 41C59 44 64 44 67 38Z", "#ffffff"),
  fill(ellipse(40, 39.5, 3), "#3b1a10"), fill(ellipse(60, 39.5, 3), "#3b1a10"),
  line("M31 33L45 36M69 33L55 36", "#8a4210", 3), line("M47 24V32M53 24V32M50 22V30", "#c9772a90", 2),
];
export const closedMouth: Picture = [line("M38 68C42 73 48 72 50 66C52 72 58 73 62 68", "#5c2a16", 2.5)];
export const openMouth: Picture = [
  fill("M36 66C44 62 56 62 64 66C66 78 60 92 50 92C40 92 34 78 36 66Z", "#4a0d12"),
  fill("M42 84C46 78 54 78 58 84C56 90 44 90 42 84Z", "#f2667a"), fill("M39 66L44 65L42 75ZM61 66L56 65L58 75Z", "#ffffff"),
  fill("M44 90L46 84L48 90ZM56 90L54 84L52 90Z", "#ffffff"),
];
export const lion: Picture = [...mane, ...lionFace, ...closedMouth];

export const globe: Picture = [
  fill(ellipse(50, 50, 30), down("#9cc9ff", "#2a3fa8")),
  fill("M22 40C34 34 44 44 58 40C66 38 72 40 77 38C79 44 80 48 80 50C66 54 56 48 44 52C34 55 26 50 20 52C20 48 21 44 22 40Z", "#ffffff50"),
  fill("M24 64C36 58 46 66 60 62C68 60 72 60 77 62C74 70 68 74 64 76C50 72 40 76 32 74C28 71 26 68 24 64Z", "#ffffff30"),
  fill(ellipse(40, 34, 9, 5), "#ffffff60"),
];
export const ringBack: Picture = [line("M14 62C2 50 10 44 30 42M86 38C98 32 98 38 92 46", "#ffd98a", 5)];
export const ringFront: Picture = [line("M12 60C6 74 34 70 58 60C82 50 98 38 92 32", "#ffd98a", 5.5), line("M14 63C14 72 38 66 58 58C76 50 88 42 91 37", "#fff2cc", 2)];
export const planet: Picture = [...globe, ...ringFront, fill(glint(16, 22, 9), "#ffffff"), fill(glint(84, 78, 7), "#c9baff"), fill(ellipse(80, 14, 5), out("#ffffff", "#b8c4ff"))];

const arm = (turn: number, tint: string): Picture => {
  const at = (r: number, a: number): string => {
    const angle = ((a + turn) * Math.PI) / 180;
    return `${Math.round((50 + r * Math.cos(angle)) * 10) / 10} ${Math.round((50 + r * 0.72 * Math.sin(angle)) * 10) / 10}`;
  };
  return [fill(`M${at(6, 0)}C${at(20, 20)} ${at(36, 60)} ${at(46, 130)}C${at(34, 90)} ${at(16, 60)} ${at(6, 90)}Z`, tint)];
};
export const galaxy: Picture = [
  fill(ellipse(50, 50, 48, 38), out("#8a4dff90", "#3a0ca300")),
  ...arm(0, "#c77dffd0"), ...arm(90, "#7b8cffd0"), ...arm(180, "#ff8fd8d0"), ...arm(270, "#5ee7ffc0"),
  fill(ellipse(50, 50, 17, 13), out("#ffffff", "#ffd6ff40")), fill(ellipse(50, 50, 8, 6), "#ffffff"),
];
export const universe: Picture = [
  fill(ellipse(50, 50, 46), out("#4a1fb8", "#150440")), ...galaxy,
  fill(glint(22, 24, 8), "#ffffff"), fill(glint(78, 76, 7), "#ffe9a8"), fill(ellipse(76, 22, 2), "#ffffff"), fill(ellipse(20, 68, 1.8), "#ffffff"),
  fill(ellipse(62, 86, 1.8), "#ffffff"), fill(ellipse(36, 12, 1.6), "#ffffff"),
];
