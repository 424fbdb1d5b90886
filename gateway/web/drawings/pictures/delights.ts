// Pictures of the second tier.

import { down, ellipse, fill, glint, line, out, rect, star, type Picture } from "../picture.ts";

export const confetti: Picture = [
  fill("M10 92L30 38L64 72Z", down("#ffd166", "#f0803c")),
  line("M22 62L42 80M27 48L54 74", "#ffffffb0", 4),
  fill("M30 38C38 34 68 64 64 72C58 76 26 46 30 38Z", "#c95a22"),
  line("M44 40C42 28 50 24 46 12", "#06d6a0", 5), line("M60 56C72 50 76 58 90 52", "#7c5cff", 5),
  line("M54 46C60 34 72 36 74 24", "#ff5d84", 5),
  fill(rect(30, 16, 8, 8, 2), "#5ee7ff"), fill(rect(80, 66, 9, 9, 2), "#ffd23f"), fill(rect(62, 10, 8, 8, 2), "#ffd23f"),
  fill(ellipse(86, 34, 5), "#06d6a0"), fill(ellipse(22, 30, 4), "#ff5d84"), fill(ellipse(74, 80, 4), "#5ee7ff"),
  fill(ellipse(88, 14, 5), "#ff8fab"),
];

export const sunglasses: Picture = [
  line("M12 40L4 34M88 40L96 34", "#454a70", 7),
  fill("M8 36C20 32 38 33 47 38H53C62 33 80 32 92 36C95 52 90 70 74 71C60 72 55 62 53 51C52 46 48 46 47 51C45 62 40 72 26 71C10 70 5 52 8 36Z", down("#5a608c", "#23253e")),
  fill("M14 41C24 38 36 39 42 43C42 56 36 66 26 66C15 65 11 54 14 41Z", down("#ff7a59", "#5f2cc2")),
  fill("M58 43C64 39 76 38 86 41C89 54 85 65 74 66C64 66 58 56 58 43Z", down("#ff7a59", "#5f2cc2")),
  fill("M17 44L28 42L18 57C16 53 16 48 17 44Z", "#ffffff90"), fill("M63 44L74 42L64 57C61 53 61 48 63 44Z", "#ffffff90"),
];

const bloom = (x: number, y: number, r: number, light: string, dark: string): Picture => [
  fill(star(x, y, r * 1.12, r * 0.86, 8), dark), fill(ellipse(x, y, r * 0.82), down(light, dark)),
  line(`M${x - r * 0.3} ${y}C${x - r * 0.2} ${y - r * 0.5} ${x + r * 0.5} ${y - r * 0.3} ${x + r * 0.2} ${y + r * 0.2}`, "#ffffffa0", 2.2),
];

export const bouquet: Picture = [
  fill("M20 40C10 30 16 18 28 22C40 6 62 6 74 22C86 18 90 32 80 40L58 78H42Z", down("#5cc878", "#217a43")),
  ...bloom(30, 34, 14, "#ffb0b8", "#e0566a"), ...bloom(70, 34, 14, "#ffe2a0", "#f0a030"),
  ...bloom(50, 24, 15, "#ff8aa6", "#d0214f"), ...bloom(50, 46, 14, "#e2c6ff", "#9a5fd9"),
  fill("M22 50L50 60L78 50L60 94H40Z", down("#fff6ea", "#dcb98f")), fill("M22 50L50 60L40 94Z", "#ffffff80"),
  fill("M50 72C38 62 30 70 34 78C40 80 46 78 50 74C54 78 60 80 66 78C70 70 62 62 50 72Z", "#e5417a"),
];

export const champagne: Picture = [
  fill("M40 8H54V30C54 38 68 42 68 56V88C68 93 65 95 61 95H33C29 95 26 93 26 88V56C26 42 40 38 40 30Z", down("#4f9a57", "#1c5530")),
  fill("M39 6H55V26H39Z", down("#fff0b8", "#d9a93a")), fill(rect(37, 24, 20, 5, 2), "#c4922a"),
  fill(rect(26, 58, 42, 24), down("#fff6df", "#e9cf94")), fill(star(47, 70, 8, 3.6), "#c4922a"),
  fill("M31 52C32 46 36 43 40 40C38 48 36 52 36 56H31Z", "#ffffff70"),
  line("M84 90H70M77 90V66", "#f2e2b8", 3), fill("M68 36H87C88 52 84 66 77.500 66C71 66 67 52 68 36Z", "#ffffff50"),
  fill("M68.500 46H86.500C86.500 56 83 64 77.500 64C72 64 68.500 56 68.500 46Z", down("#ffe9a0", "#eebd45")),
  fill(ellipse(74, 54, 1.6), "#ffffff"), fill(ellipse(80, 50, 1.8), "#ffffff"), fill(ellipse(78, 58, 1.3), "#ffffff"),
];

export const cork: Picture = [fill(rect(34, 20, 32, 60, 12), down("#e8c28f", "#a56d34")), fill(rect(30, 18, 40, 22, 10), down("#f4d6aa", "#c08a4e"))];
export const bubble: Picture = [fill(ellipse(50, 50, 40), out("#fff5cc30", "#ffe28ab0")), fill(ellipse(36, 36, 9), "#ffffffd0")];

export const headphones: Picture = [
  line("M16 58C14 26 32 10 50 10C68 10 86 26 84 58", "#7f97ff", 8), line("M22 44C24 26 36 17 50 17", "#ffffff80", 2.5),
  fill(rect(8, 50, 24, 38, 11), down("#6f88ff", "#2338b8")), fill(rect(68, 50, 24, 38, 11), down("#6f88ff", "#2338b8")),
  fill(rect(24, 54, 10, 30, 5), "#171d4a"), fill(rect(66, 54, 10, 30, 5), "#171d4a"),
  fill(rect(12, 56, 5, 20, 2.5), "#ffffff70"), fill(rect(83, 56, 5, 20, 2.5), "#ffffff40"),
];

export const note: Picture = [
  fill(ellipse(32, 76, 15, 12), "#ffffff"), fill(ellipse(74, 66, 15, 12), "#ffffff"),
  fill("M40 22L89 12V66H80V32L47 39V76H40Z", "#ffffff"),
];

export const guitar: Picture = [
  line("M54 46L84 16", "#5d3214", 9), fill("M78 8L94 22L88 28L74 14Z", down("#8a4d20", "#4c280f")),
  line("M80 8L76 12M92 22L96 18", "#f0d9b0", 3.5),
  fill("M50 36C60 34 68 42 65 52C63 58 66 62 66 70C66 84 54 96 38 94C18 92 6 78 8 62C10 48 22 42 32 46C40 48 42 38 50 36Z", down("#e89a4c", "#8a4210")),
  fill("M48 42C56 41 61 46 59 53C58 59 60 64 59 70C57 80 49 87 38 86C24 84 15 75 16 64C17 55 25 51 33 53C42 55 43 43 48 42Z", "#f3b66c70"),
  fill(ellipse(42, 62, 11), "#3d1d09"), line("M22 74L32 84", "#3d1d09", 5),
  line("M26 78L82 20M29 81L85 23", "#fff1d6", 1.2),
];

export const crown: Picture = [
  fill("M12 80L6 30L30 50L50 14L70 50L94 30L88 80Z", down("#ffe680", "#e69a00")),
  fill("M12 80L6 30L30 50L34 80Z", "#ffffff50"), fill("M50 14L70 50L66 80H50Z", "#c97a0030"),
  fill(rect(11, 78, 78, 12, 4), down("#ffd23f", "#c97a00")),
  fill(ellipse(6, 28, 5), "#ff5d84"), fill(ellipse(50, 12, 6), "#5ee7ff"), fill(ellipse(94, 28, 5), "#ff5d84"),
  fill("M50 52L58 64L50 75L42 64Z", down("#ff7d98", "#c81e4c")), fill(ellipse(28, 66, 5), "#5ee7ff"), fill(ellipse(72, 66, 5), "#5ee7ff"),
];

export const fan_banner: Picture = [
  line("M18 6V96", "#e8dcc2", 6), fill(ellipse(18, 6, 6), "#ffd23f"),
  fill("M20 12C38 4 56 22 92 12V60C60 70 38 50 20 60Z", down("#c48bff", "#6a1fb8")),
  fill("M20 12C38 4 50 14 60 16V62C44 60 34 54 20 60Z", "#ffffff26"),
  fill("M56 54C40 44 38 36 42 29C46 24 53 26 56 32C59 26 66 24 70 29C74 36 72 44 56 54Z", down("#ffb3c6", "#ff4d7d")),
];

export const fireworks: Picture = [
  ...[0, 45, 90, 135, 180, 225, 270, 315].map((a) => {
    const [c, s] = [Math.cos((a * Math.PI) / 180), Math.sin((a * Math.PI) / 180)];
    return line(`M${44 + 12 * c} ${40 + 12 * s}L${44 + 32 * c} ${40 + 32 * s}`, a % 90 ? "#ffd23f" : "#ff7b3d", 4.5);
  }),
  fill(ellipse(44, 40, 6), "#fff3c4"),
  ...[0, 60, 120, 180, 240, 300].map((a) => {
    const [c, s] = [Math.cos((a * Math.PI) / 180), Math.sin((a * Math.PI) / 180)];
    return line(`M${78 + 7 * c} ${76 + 7 * s}L${78 + 17 * c} ${76 + 17 * s}`, "#5ee7ff", 3.5);
  }),
  fill(ellipse(78, 76, 3.5), "#ffffff"), line("M30 94C34 78 38 66 43 56", "#ffffff60", 3), fill(glint(80, 18, 10), "#ff8fab"),
  fill(glint(14, 74, 8), "#c9baff"),
];
