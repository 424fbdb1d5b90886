// Pictures of the third tier.

import { down, ellipse, fill, glint, line, out, polygon, rect, type Picture } from "../picture.ts";

export const diamond: Picture = [
  fill("M22 16H78L96 40L50 92L4 40Z", down("#c6f7ff", "#1fa8d8")),
  fill("M22 16L34 40H4Z", "#8eeaff"), fill("M78 16L66 40H96Z", "#4fcdf2"), fill("M22 16H50L34 40Z", "#e4fcff"),
  fill("M78 16H50L66 40Z", "#a5f0ff"), fill("M50 16L66 40H34Z", "#ffffff"), fill("M34 40H66L50 92Z", down("#b5f3ff", "#3cc3ec")),
  fill("M4 40H34L50 92Z", down("#6fdcf7", "#1590c4")), fill("M66 40H96L50 92Z", down("#45c3ea", "#0f7bb0")),
  fill(glint(24, 26, 12), "#ffffff"),
];

export const wheel: Picture = [
  fill(ellipse(50, 50, 46), "#1d1f2b"), fill(ellipse(50, 50, 30), down("#f3f5fa", "#9aa3b5")),
  line("M50 24V76M24 50H76M32 32L68 68M68 32L32 68", "#5f687a", 4), fill(ellipse(50, 50, 9), "#2b2f3f"),
];

export const trainBody: Picture = [
  fill(rect(6, 30, 34, 46, 5), down("#f25c5c", "#a81414")), fill(rect(2, 24, 42, 8, 3), "#5a1010"),
  fill(rect(13, 38, 20, 18, 3), down("#bfeaff", "#63b4dc")),
  fill(rect(38, 42, 44, 34, 8), down("#ff7a6b", "#b71c1c")), fill(rect(40, 50, 38, 5), "#ffd23f"),
  fill("M66 42L63 20H79L76 42Z", down("#4a5068", "#23263a")), fill(rect(60, 16, 22, 7, 3), "#ffd23f"),
  fill(ellipse(52, 42, 7, 8), down("#ffe680", "#d99a00")), fill(ellipse(82, 59, 8, 12), "#3b3f55"), fill(ellipse(84, 59, 4.5, 7), "#fff0a0"),
  fill("M78 76H88L97 90H76Z", down("#5a607a", "#2b2e42")), fill(rect(4, 74, 78, 8, 3), "#2b2e42"),
];
export const train: Picture = [
  ...trainBody,
  ...[18, 42, 66].flatMap((x) => [fill(ellipse(x, 84, 11), "#1d1f2b"), fill(ellipse(x, 84, 6), "#ffd23f"), fill(ellipse(x, 84, 2.5), "#1d1f2b")]),
];

export const puff: Picture = [fill(ellipse(50, 50, 42), out("#ffffffc0", "#ffffff10"))];

export const swan: Picture = [
  fill("M14 62C30 50 60 48 92 54C96 70 78 86 50 86C28 86 12 78 14 62Z", down("#ffffff", "#c4d4ea")),
  fill("M52 58C66 40 88 36 98 40C98 58 84 76 60 76C50 74 46 66 52 58Z", down("#ffffff", "#aebfdc")),
  line("M60 66C72 62 82 54 90 46M64 72C74 70 84 62 92 54", "#9db1d066", 2.5),
  fill("M14 66C10 50 26 42 28 30C29 20 20 20 18 28C14 30 10 28 10 24C14 8 40 6 42 28C43 44 32 52 38 62Z", down("#ffffff", "#d5e1f2")),
  fill("M14 22C10 22 4 26 2 31C8 33 14 32 18 28Z", down("#ffa94d", "#e8590c")), fill("M18 16L10 22L16 27C20 24 20 19 18 16Z", "#20242f"),
  fill(ellipse(24, 18, 2), "#20242f"),
];

export const carBody: Picture = [
  fill("M4 66C4 56 14 52 26 50C36 38 48 34 60 34C72 34 80 42 86 50C94 52 97 58 96 68C96 72 94 74 90 74H10C6 74 4 71 4 66Z", down("#ff6b6b", "#b3141f")),
  fill("M32 50C40 41 48 38 55 38V51Z", down("#d8f3ff", "#5a98c0")), fill("M59 38C68 38 74 43 79 51H59Z", down("#d8f3ff", "#5a98c0")),
  fill("M4 64C10 60 18 60 22 62L20 66H5Z", "#fff3b0"), fill("M90 56C94 57 96 60 96 63H89Z", "#ffb3b3"),
  line("M12 58C30 54 60 55 90 57", "#ffffff70", 2), fill("M84 42H98L96 47H86Z", "#8a0f18"), fill(rect(28, 70, 44, 5, 2), "#5c0a11"),
];
const tyre = (x: number): Picture => [
  fill(ellipse(x, 72, 11.5), "#171923"), fill(ellipse(x, 72, 7), down("#f3f5fa", "#8f98ab")), fill(ellipse(x, 72, 2.5), "#171923"),
];
export const sports_car: Picture = [...carBody, ...tyre(24), ...tyre(76)];

export const yacht: Picture = [
  fill("M50 6V64H14C28 50 42 32 50 6Z", down("#ffffff", "#cfe3ee")), fill("M54 14C70 28 80 46 84 64H54Z", down("#ffb46b", "#e0622d")),
  line("M52 4V70", "#c9a36a", 3.5), fill("M52 3L66 8L52 12Z", "#e63946"),
  fill("M6 70H96C92 84 84 92 74 92H26C16 92 9 84 6 70Z", down("#2fb5ab", "#0f5450")), fill("M6 70H96L94 76H8Z", "#f7f3e6"),
  fill(ellipse(34, 82, 3), "#f7f3e6"), fill(ellipse(50, 82, 3), "#f7f3e6"), fill(ellipse(66, 82, 3), "#f7f3e6"),
];

export const wave: Picture = [
  fill("M0 30C12 10 22 10 33 26C44 42 56 42 66 26C78 10 88 10 100 30V100H0Z", down("#4fc3d9", "#0e4f78")),
];

const tower = (x: number, y: number, w: number): Picture => [
  fill(`M${x - 3} ${y}L${x + w / 2} ${y - 26}L${x + w + 3} ${y}Z`, down("#ff8fb3", "#b8386e")),
  fill(rect(x, y, w, 92 - y), down("#ece8ff", "#9188d8")), fill(rect(x + w / 2 - 3, y + 10, 6, 11, 3), "#ffd98a"),
];
export const castle: Picture = [
  ...tower(40, 36, 20), fill("M50 12V1L62 5.5L51 9V12Z", "#ffd23f"),
  ...tower(10, 44, 16), ...tower(74, 44, 16),
  fill("M20 60H26V66H32V60H38V66H44V60H56V66H62V60H68V66H74V60H80V92H20Z", down("#d9d3ff", "#7f75cc")),
  fill("M40 92V80C40 66 60 66 60 80V92Z", down("#7a4a24", "#3f230f")), line("M50 70V92", "#2b1708", 1.5),
  fill(rect(28, 72, 6, 10, 3), "#ffd98a"), fill(rect(66, 72, 6, 10, 3), "#ffd98a"), fill(rect(6, 91, 88, 5, 2), "#5d9c59"),
];

export const hill: Picture = [fill("M0 60C20 30 40 30 55 48C70 64 84 46 100 56V100H0Z", down("#4a8f5b", "#1d4a33"))];
export const moon: Picture = [fill(ellipse(50, 50, 40), out("#fffbe6", "#ffe9b0")), fill(ellipse(38, 40, 8), "#f0d79060"), fill(ellipse(60, 62, 6), "#f0d79060")];
export const streak: Picture = [fill(polygon([0, 50], [96, 47], [100, 50], [96, 53]), "#ffffff")];
