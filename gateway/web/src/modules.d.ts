// Modules without types of their own.

declare module "lottie-web/build/player/esm/lottie_light.min.js" {
  export { default } from "lottie-web";
}
