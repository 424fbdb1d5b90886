// A Vite plugin that writes the drawings beside the pages: icons/NAME.svg and animations/NAME.json.

import type { Plugin } from "vite";

import { ANIMATIONS } from "./animations.ts";
import { lottie } from "./lottie.ts";
import { svg } from "./picture.ts";
import { ICONS } from "./pictures/icons.ts";

export function drawings(): Plugin {
  return {
    name: "giftwire-drawings",
    generateBundle() {
      for (const [name, picture] of Object.entries(ICONS)) {
        this.emitFile({ type: "asset", fileName: `icons/${name}.svg`, source: svg(picture) });
      }
      for (const [name, animation] of Object.entries(ANIMATIONS)) {
        this.emitFile({ type: "asset", fileName: `animations/${name}.json`, source: lottie(animation) });
      }
    },
  };
}
