// Pictures of the first tier.

import { down, ellipse, fill, glint, line, out, polygon, rect, star, type Picture } from "../picture.ts";

export const petal: Picture = [fill("M50 14C74 30 80 62 50 88C20 62 26 30 50 14Z", down("#ff7a9a", "#c81e4c"))];

export const rose: Picture = [
  line("M50 56C51 70 48 80 50 93", "#2f8f4e", 4.5),
  fill("M50 80C58 66 72 64 79 68C74 80 62 85 50 80Z", down("#5cc878", "#2f8f4e")),
  fill("M49 73C42 60 30 59 23 63C28 74 38 78 49 73Z", down("#5cc878", "#2f8f4e")),
  fill("M50 8C66 5 82 16 80 35C79 53 64 62 50 62C36 62 21 53 20 35C18 16 34 5 50 8Z", down("#ff5d84", "#c81e4c")),
  fill("M20 33C24 50 38 60 50 62C36 63 20 55 20 33Z", "#a5143a"),
  fill("M80 33C76 50 62 60 50 62C64 63 80 55 80 33Z", "#a5143a"),
  fill("M50 15C62 12 71 20 69 32C67 43 58 48 50 48C42 48 33 43 31 32C29 20 38 12 50 15Z", down("#ff8aa6", "#dd2c5c")),
  line("M40 30C42 22 56 20 59 28C61 35 50 40 47 33C46 29 52 27 54 31", "#a5143a", 3),
  line("M31 34C34 44 43 50 52 49", "#ffb3c6", 2.5),
];

export const heart: Picture = [
  fill("M50 88C20 66 8 50 8 33C8 19 19 10 31 10C39 10 46 14 50 21C54 14 61 10 69 10C81 10 92 19 92 33C92 50 80 66 50 88Z", down("#ff7d98", "#e3174a")),
  fill("M22 24C26 18 33 17 37 20C30 21 25 27 24 36C19 34 19 28 22 24Z", "#ffffffa0"),
];

export const clap: Picture = [
  line("M20 22L12 14", "#ffd166", 4), line("M34 15L32 5", "#ffd166", 4), line("M12 38L3 36", "#ffd166", 4),
  fill("M38 88C26 80 20 68 23 56L34 27C36 21 44 24 43 30L40 44L52 17C55 11 63 15 61 21L53 45L68 24C72 18 79 23 76 29L61 62L66 58C71 54 77 60 73 65L60 83C54 92 46 93 38 88Z", down("#ffd9ae", "#e9a467")),
  fill("M58 90C50 86 44 76 46 66L56 38C58 32 65 34 65 40L63 52L73 29C76 23 83 27 81 33L74 55L84 38C88 33 94 37 92 43L83 73L80 82C76 92 67 95 58 90Z", down("#ffe8c9", "#f2b880")),
  line("M63 52L60 63", "#d99457", 2.5), line("M74 55L70 66", "#d99457", 2.5), line("M83 60L80 70", "#d99457", 2.5),
];

export const coffee: Picture = [
  line("M70 48C86 44 90 66 70 70", "#f3e4d4", 7),
  fill("M18 40H74C75 62 70 84 60 88H32C22 84 17 62 18 40Z", down("#fffaf2", "#d9bfa4")),
  fill(ellipse(46, 40, 28, 8), "#eadbc9"),
  fill(ellipse(46, 41, 23, 5.5), down("#8d5a3b", "#593321")),
  fill("M46 76C36 69 33 64 36 59C39 55 44 57 46 61C48 57 53 55 56 59C59 64 56 69 46 76Z", "#b5523b"),
  fill(ellipse(46, 92, 36, 4), "#c9ab8c"),
];

export const steam: Picture = [line("M50 90C36 72 64 58 50 40C40 28 56 20 50 10", "#ffffff90", 7)];

export const ice_cream: Picture = [
  fill("M28 50L50 96L72 50Z", down("#f4c27a", "#c98636")),
  line("M36 58L58 78M44 54L62 70M64 56L43 80M56 53L38 70", "#a8692488", 2),
  fill(ellipse(36, 40, 18), down("#ffd3e2", "#f18fb4")),
  fill(ellipse(64, 40, 18), down("#fff3d8", "#eac88f")),
  fill(ellipse(50, 26, 19), down("#e9fff6", "#8adbbd")),
  fill("M20 46C26 58 34 50 40 54C46 60 54 60 60 54C66 50 76 58 80 46C76 44 24 44 20 46Z", "#f7a9c6"),
  fill(ellipse(55, 8, 6), down("#ff5d6d", "#c3122c")),
  line("M56 5C58 1 62 0 66 1", "#2f8f4e", 2),
  line("M40 20L44 17M58 26L62 29M48 32L52 35", "#e3174a", 2.5),
];

export const starPicture: Picture = [
  fill("M50 6L62 35L93 38L70 59L77 90L50 74L23 90L30 59L7 38L38 35Z", down("#fff0a0", "#f5a800")),
  fill("M50 6L62 35L50 50Z", "#ffffff70"), fill("M93 38L70 59L50 50Z", "#ffffff30"),
  fill("M77 90L50 74L50 50Z", "#c97a0040"), fill("M7 38L38 35L50 50Z", "#ffffff50"),
];

export const doughnut: Picture = [
  fill(`${ellipse(50, 52, 42)}M50 38C42 38 36 44 36 52C36 60 42 66 50 66C58 66 64 60 64 52C64 44 58 38 50 38Z`, down("#f0bd7d", "#bd7a35")),
  fill("M50 12C74 11 90 28 89 48C88 60 82 56 78 64C74 74 66 68 60 76C54 82 46 76 40 80C30 82 30 72 22 70C12 66 14 56 11 48C10 28 28 12 50 12M50 38C42 38 36 44 36 52C36 60 42 66 50 66C58 66 64 60 64 52C64 44 58 38 50 38Z", down("#ffb5d8", "#d966a3")),
  line("M28 34L33 30M48 22L54 24M70 30L73 36M78 52L76 58M66 66L60 68M40 72L35 69M22 52L24 58M34 46L30 43", "#ffffff", 3.5),
  line("M40 28L44 32M62 22L66 26M26 62L30 60M72 44L68 46M52 74L48 71", "#6fe0ff", 3.5),
  line("M20 42L24 40M58 32L62 34M80 42L82 46M70 58L72 62", "#ffe66d", 3.5),
];

export const balloon: Picture = [
  line("M50 74C44 82 56 88 50 98", "#d9cfe8", 2.5),
  fill("M50 4C70 4 82 20 80 38C78 56 62 70 50 71C38 70 22 56 20 38C18 20 30 4 50 4Z", out("#ff8aa0", "#d92850")),
  fill("M50 70L56 79H44Z", "#c21f45"),
  fill("M32 20C36 13 43 12 46 14C38 18 34 26 34 36C29 34 29 26 32 20Z", "#ffffffa0"),
];

export const fan_badge: Picture = [
  fill("M36 60L26 94L42 88L50 98L58 88L74 94L64 60Z", down("#ff6f91", "#c22d5c")),
  fill(star(50, 40, 37, 32, 12), down("#b09bff", "#5a35e0")),
  fill(ellipse(50, 40, 25), down("#f4f0ff", "#c9baff")),
  fill("M50 56C36 46 33 40 36 33C40 27 47 29 50 35C53 29 60 27 64 33C67 40 64 46 50 56Z", down("#ff7d98", "#e3174a")),
];

export const perfume: Picture = [
  fill(rect(40, 8, 20, 14, 3), down("#ffe9a8", "#d9a93a")), fill(rect(43, 22, 14, 10), "#b98a2b"),
  fill(rect(18, 32, 64, 60, 14), down("#f3d9fb", "#b05fc7")),
  fill("M22 60C36 54 62 66 78 58V78C78 86 74 88 68 88H32C26 88 22 86 22 78Z", down("#e39bf2", "#8f3fae")),
  fill(rect(26, 40, 8, 36, 4), "#ffffff80"),
  fill(glint(58, 62, 13), "#ffffff"),
];

export const mist: Picture = [fill(ellipse(50, 50, 40), out("#f0c4ffa0", "#d8a2f000"))];

export const paper_crane: Picture = [
  fill("M8 30L44 52L36 66Z", "#5ba7cc"),
  fill("M92 16L54 56L36 66L60 74Z", down("#d6f1ff", "#6fb8dc")),
  fill("M44 52L64 8L72 48L54 60Z", down("#f4fcff", "#9bd4ee")),
  fill("M36 66L58 56L62 84Z", down("#b9e4f7", "#4f9cc2")),
  fill("M44 52L30 14L58 56L36 66Z", down("#e8f8ff", "#83c6e6")),
  fill("M8 30L20 32L18 37Z", "#f2a65a"),
];

export const glintPicture: Picture = [fill(glint(50, 50, 46), "#ffffff")];
export const scrap: Picture = [fill(polygon([30, 20], [72, 30], [68, 80], [26, 70]), "#ffffff")];
