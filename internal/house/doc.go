// Package house holds no code: its tests enforce the rules of the repository (which package may import which, doc comments on exported
// names, no printing from libraries, file lengths, and the commands that the README promises).
package house
