// Package influence predicts by how much a measurement of a trained network would change if examples of its training were left out, and checks such
// predictions by training again.
package influence
