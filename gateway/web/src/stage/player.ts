// Plays the drawn animations. Where motion is unwelcome the gift's icon stands still for the same time.

import lottie from "lottie-web/build/player/esm/lottie_light.min.js";

import { icon } from "../page/dom.ts";
import type { CatalogGift } from "../wire_http.ts";

const files = new Map<string, Promise<object | null>>();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Begin to load what will be played soon. */
export function preload(animation: string): Promise<object | null> {
  let file = files.get(animation);
  if (file === undefined) {
    file = fetch(`/static/animations/${animation}.json`)
      .then((response) => (response.ok ? (response.json() as Promise<object>) : null))
      .catch(() => null);
    void file.then((found) => found ?? files.delete(animation));
    files.set(animation, file);
  }
  return file;
}

/** Play a gift's animation in a box, once, over `durationMs`. Returns what ends it and clears the box. */
export function play(box: HTMLElement, gift: CatalogGift, durationMs = gift.duration_ms): () => void {
  let stop = (): void => {};
  let over = false;
  if (calm.matches) box.append(icon(gift.icon, 160));
  else
    void preload(gift.animation).then((file) => {
      if (over) return;
      if (file === null) return box.append(icon(gift.icon, 160));
      const player = lottie.loadAnimation({
        container: box,
        renderer: "svg",
        loop: false,
        autoplay: true,
        // The player writes into what it is given.
        animationData: structuredClone(file),
        rendererSettings: { preserveAspectRatio: gift.effect === "screen" ? "xMidYMid slice" : "xMidYMid meet" },
      });
      player.setSpeed((player.getDuration() * 1000) / durationMs);
      stop = () => player.destroy();
    });
  return () => {
    over = true;
    stop();
    box.replaceChildren();
  };
}
