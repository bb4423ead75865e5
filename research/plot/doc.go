// Package plot draws the project's pictures as PNG or SVG at page width: bars with intervals,
// learning curves, heat maps of masks, scatters of t-SNE. It knows nothing of where its numbers
// come from. Colours are Okabe and Ito's, which colour-blind readers can tell apart.
package plot
