// Registers the review with the App, which looks for the component that the panel's `render` names.
import { Review } from "./Review.jsx";

window.__fop__.registerComponent({
  name: "WinnowReview",
  label: "WinnowReview",
  component: Review,
  type: window.__fop__.PluginComponentType.Component,
  activator: () => true,
});
