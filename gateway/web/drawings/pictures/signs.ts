// Signs of the pages themselves: the coin, and what stands for a gift without a drawing.

import { down, ellipse, fill, glint, line, rect, star, type Picture } from "../picture.ts";

export const coin: Picture = [
  fill(ellipse(50, 50, 46), down("#ffe07a", "#d98e04")), fill(ellipse(50, 50, 36), down("#f7b928", "#ffd65c")),
  line(ellipse(50, 50, 36), "#c47f0080", 3), fill(star(50, 51, 22, 10), "#fff4c9"), fill(glint(28, 26, 10), "#ffffff"),
];

export const gift: Picture = [
  fill(rect(14, 44, 72, 48, 6), down("#ff7d98", "#c81e4c")), fill(rect(8, 30, 84, 20, 6), down("#ff9db1", "#e3174a")),
  fill(rect(42, 30, 16, 62), "#ffd98a"), line("M50 30C34 4 14 18 30 30M50 30C66 4 86 18 70 30", "#ffd98a", 6),
];
