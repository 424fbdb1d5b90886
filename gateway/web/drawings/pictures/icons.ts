// Which picture is the icon of what: every `icon` of the catalogue.

import type { Picture } from "../picture.ts";
import * as delights from "./delights.ts";
import * as legends from "./legends.ts";
import * as tokens from "./tokens.ts";
import * as treasures from "./treasures.ts";
import { coin, gift } from "./signs.ts";

export const ICONS: Readonly<Record<string, Picture>> = {
  rose: tokens.rose, heart: tokens.heart, clap: tokens.clap, coffee: tokens.coffee, ice_cream: tokens.ice_cream,
  star: tokens.starPicture, doughnut: tokens.doughnut, balloon: tokens.balloon, fan_badge: tokens.fan_badge,
  perfume: tokens.perfume, paper_crane: tokens.paper_crane,
  confetti: delights.confetti, sunglasses: delights.sunglasses, bouquet: delights.bouquet, champagne: delights.champagne,
  headphones: delights.headphones, guitar: delights.guitar, crown: delights.crown, fan_banner: delights.fan_banner,
  fireworks: delights.fireworks,
  diamond: treasures.diamond, train: treasures.train, swan: treasures.swan, sports_car: treasures.sports_car,
  yacht: treasures.yacht, castle: treasures.castle,
  rocket: legends.rocket, phoenix: legends.phoenix, lion: legends.lion, planet: legends.planet, universe: legends.universe,
  coin, gift,
};
