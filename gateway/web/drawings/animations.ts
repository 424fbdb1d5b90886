// One animation for each `animation` of the catalogue.

import type { Animation } from "./lottie.ts";
import { SMALL } from "./animations/small.ts";
import { BANNERS } from "./animations/banners.ts";
import { JOURNEYS } from "./animations/journeys.ts";
import { WONDERS } from "./animations/wonders.ts";

export const ANIMATIONS: Readonly<Record<string, Animation>> = { ...SMALL, ...BANNERS, ...JOURNEYS, ...WONDERS };
