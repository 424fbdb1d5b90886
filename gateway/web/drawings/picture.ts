// Pictures: flat parts on a 100 × 100 sheet, drawn once and used as an SVG icon and inside animations.

import { bounds, curves, type Point } from "./path.ts";

/** A colour, or two: down the part, or from its middle outwards. A two-digit end is opacity, as in `#ffffff80`. */
export type Paint = string | { down: readonly [string, string] } | { out: readonly [string, string] };

export interface Part {
  d: string;
  fill?: Paint;
  stroke?: string;
  width?: number;
}

export type Picture = readonly Part[];

export const fill = (d: string, paint: Paint): Part => ({ d, fill: paint });
export const line = (d: string, stroke: string, width = 3): Part => ({ d, stroke, width });
export const down = (from: string, to: string): Paint => ({ down: [from, to] });
export const out = (from: string, to: string): Paint => ({ out: [from, to] });

const KAPPA = 0.5523;

export function ellipse(cx: number, cy: number, rx: number, ry = rx): string {
  const [kx, ky] = [rx * KAPPA, ry * KAPPA];
  return (
    `M${cx} ${cy - ry}C${cx + kx} ${cy - ry} ${cx + rx} ${cy - ky} ${cx + rx} ${cy}` +
    `C${cx + rx} ${cy + ky} ${cx + kx} ${cy + ry} ${cx} ${cy + ry}` +
    `C${cx - kx} ${cy + ry} ${cx - rx} ${cy + ky} ${cx - rx} ${cy}` +
    `C${cx - rx} ${cy - ky} ${cx - kx} ${cy - ry} ${cx} ${cy - ry}Z`
  );
}

export function rect(x: number, y: number, w: number, h: number, r = 0): string {
  if (r === 0) return `M${x} ${y}h${w}v${h}h${-w}Z`;
  const k = r * (1 - KAPPA);
  return (
    `M${x + r} ${y}h${w - 2 * r}c${r - k} 0 ${r} ${k} ${r} ${r}v${h - 2 * r}c0 ${r - k} ${-k} ${r} ${-r} ${r}` +
    `h${2 * r - w}c${k - r} 0 ${-r} ${-k} ${-r} ${-r}v${2 * r - h}c0 ${k - r} ${k} ${-r} ${r} ${-r}Z`
  );
}

export function polygon(...points: Point[]): string {
  return `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}Z`;
}

/** A star; with `inner` near `outer` a badge. `turn` in degrees. */
export function star(cx: number, cy: number, outer: number, inner: number, tips = 5, turn = 0): string {
  const points: Point[] = [];
  for (let i = 0; i < tips * 2; i++) {
    const angle = ((turn - 90 + (i * 180) / tips) * Math.PI) / 180;
    const r = i % 2 ? inner : outer;
    points.push([cx + r * Math.cos(angle), cy + r * Math.sin(angle)]);
  }
  return polygon(...points);
}

/** A four-pointed glint. */
export function glint(cx: number, cy: number, r: number): string {
  const n = r * 0.16;
  return (
    `M${cx} ${cy - r}Q${cx + n} ${cy - n} ${cx + r} ${cy}Q${cx + n} ${cy + n} ${cx} ${cy + r}` +
    `Q${cx - n} ${cy + n} ${cx - r} ${cy}Q${cx - n} ${cy - n} ${cx} ${cy - r}Z`
  );
}

/** The picture as an SVG file. */
export function svg(picture: Picture): string {
  const gradients: string[] = [];
  const paths = picture.map((part) => {
    const fillText = part.fill === undefined ? 'fill="none"' : svgFill(part.d, part.fill, gradients);
    const strokeText = part.stroke
      ? ` ${svgColour("stroke", part.stroke)} stroke-width="${part.width ?? 3}" stroke-linecap="round" stroke-linejoin="round"`
      : "";
    return `<path d="${svgPath(part.d)}" ${fillText}${strokeText}/>`;
  });
  const defs = gradients.length ? `<defs>${gradients.join("")}</defs>` : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">${defs}${paths.join("")}</svg>\n`;
}

/** Red, green, blue and opacity, each from 0 to 1. */
export function colour(text: string): [number, number, number, number] {
  const byte = (at: number): number => parseInt(text.slice(at, at + 2), 16) / 255;
  return [byte(1), byte(3), byte(5), text.length > 7 ? byte(7) : 1];
}

export const round = (value: number): number => Math.round(value * 10) / 10;

function svgFill(d: string, paint: Paint, gradients: string[]): string {
  if (typeof paint === "string") return svgColour("fill", paint);
  const id = `g${gradients.length}`;
  const box = bounds(d);
  const [cx, cy] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2].map(round);
  const [from, to] = "down" in paint ? paint.down : paint.out;
  const stops =
    `<stop offset="0" ${svgColour("stop", from)}/><stop offset="1" ${svgColour("stop", to)}/>`;
  gradients.push(
    "down" in paint
      ? `<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="${cx}" y1="${round(box.top)}" x2="${cx}" y2="${round(box.bottom)}">${stops}</linearGradient>`
      : `<radialGradient id="${id}" gradientUnits="userSpaceOnUse" cx="${cx}" cy="${cy}" r="${round(Math.max(box.right - box.left, box.bottom - box.top) / 2)}">${stops}</radialGradient>`,
  );
  return `fill="url(#${id})"`;
}

function svgColour(kind: "fill" | "stroke" | "stop", text: string): string {
  const opacity = colour(text)[3];
  const name = kind === "stop" ? "stop-color" : kind;
  return `${name}="${text.slice(0, 7)}"` + (opacity < 1 ? ` ${kind}-opacity="${round(opacity)}"` : "");
}

function svgPath(d: string): string {
  return curves(d)
    .map((curve) => {
      const n = curve.points.length;
      let text = `M${pair(curve.points[0]!)}`;
      for (let i = 1; i < (curve.closed ? n + 1 : n); i++) {
        const [a, b] = [i - 1, i % n];
        const [p, q] = [curve.points[a]!, curve.points[b]!];
        const [o, k] = [curve.out[a]!, curve.into[b]!];
        if (o[0] === 0 && o[1] === 0 && k[0] === 0 && k[1] === 0) text += `L${pair(q)}`;
        else text += `C${pair([p[0] + o[0], p[1] + o[1]])} ${pair([q[0] + k[0], q[1] + k[1]])} ${pair(q)}`;
      }
      return text + (curve.closed ? "Z" : "");
    })
    .join("");
}

const pair = ([x, y]: Point): string => `${round(x)} ${round(y)}`;
