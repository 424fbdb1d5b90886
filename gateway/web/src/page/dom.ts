// Elements from code: text is always text, never markup.

type Child = Node | string | null | false;
interface Traits {
  class?: string;
  on?: Partial<{ [K in keyof HTMLElementEventMap]: (event: HTMLElementEventMap[K]) => void }>;
  /** Custom properties of CSS, set through the CSSOM, which a strict policy allows. */
  vars?: Record<string, string>;
  [attribute: string]: unknown;
}

/** An element with attributes, listeners and children; `true` is an empty attribute, `false` and null leave it out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, traits: Traits = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  dress(element, traits);
  for (const [name, listener] of Object.entries(traits.on ?? {})) element.addEventListener(name, listener as EventListener);
  element.append(...children.filter((child): child is Node | string => child !== null && child !== false));
  return element;
}

/** The same for a drawing. */
export function s(tag: string, attributes: Record<string, string | number>, ...children: Child[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children.filter((child): child is Node | string => child !== null && child !== false));
  return element;
}

export function icon(name: string, size: number, alt = ""): HTMLImageElement {
  const image = h("img", { class: "icon", src: `/static/icons/${name}.svg`, width: size, height: size, alt, draggable: "false" });
  image.addEventListener("error", () => (image.src = "/static/icons/gift.svg"), { once: true });
  return image;
}

/** A dialog with a head, which closes by its button, by Escape and by a click beside it. */
export function dialog(title: string, className: string, ...children: Child[]): HTMLDialogElement {
  const close = h("button", { class: "close", type: "button", "aria-label": "Close" }, "×");
  const box = h("dialog", { class: className, "aria-label": title }, h("div", { class: "box" }, h("header", {}, h("h2", {}, title), close), ...children));
  // Else a box that scrolls would take the focus itself, and lose it once its content fits.
  if (box.querySelector("[autofocus]") === null) close.autofocus = true;
  close.addEventListener("click", () => box.close());
  box.addEventListener("click", (event) => event.target === box && box.close());
  return box;
}

function dress(element: HTMLElement, traits: Traits): void {
  for (const [name, value] of Object.entries(traits)) {
    if (name === "on" || name === "vars" || value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(traits.vars ?? {})) element.style.setProperty(name, value);
}
