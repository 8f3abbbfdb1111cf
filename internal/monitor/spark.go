package monitor

import "math"

// bars are characters of growing height.
var bars = []rune("▁▂▃▄▅▆▇█")

// Spark draws the first line of a series with characters, logarithmically where that tells more; "" if there is nothing to see.
func Spark(s *Series, width int) string {
	if len(s.Lines) == 0 || len(s.Lines[0]) < 2 || s.constant() {
		return ""
	}
	line, log := s.Lines[0], s.spread()
	value := func(k int) float64 {
		if log {
			return math.Log(line[k][1])
		}
		return line[k][1]
	}
	low, high := math.Inf(1), math.Inf(-1)
	for k := range line {
		if y := value(k); !math.IsInf(y, 0) && !math.IsNaN(y) {
			low, high = min(low, y), max(high, y)
		}
	}
	if !(low < high) {
		return ""
	}
	width = min(width, len(line))
	text := make([]rune, width)
	for i := range text {
		y := value(i * (len(line) - 1) / max(1, width-1))
		text[i] = ' '
		if y >= low && y <= high {
			text[i] = bars[int((y-low)/(high-low)*float64(len(bars)-1)+0.5)]
		}
	}
	return string(text)
}
