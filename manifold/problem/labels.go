package problem

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// classes groups the indices of labelled data by class, in order of the labels; at least two classes are demanded.
func classes(labels []int, count int, what string) (names []int, members [][]int, err error) {
	if labels == nil {
		return nil, nil, &DataError{Where: "labels", Err: errors.New("none given"), Remedy: "give one for each " + what}
	}
	if len(labels) != count {
		return nil, nil, &DataError{Where: "labels", Err: fmt.Errorf("%d labels, but the number of data is %d", len(labels), count), Remedy: "give one for each " + what}
	}
	groups := map[int][]int{}
	for i, l := range labels {
		if l >= 0 {
			groups[l] = append(groups[l], i)
		}
	}
	if len(groups) < 2 {
		return nil, nil, &DataError{Where: "labels", Err: fmt.Errorf("%d classes, want at least two", len(groups)), Remedy: "classes are numbers from 0; negative ones are unknown"}
	}
	names = slices.Sorted(maps.Keys(groups))
	for _, l := range names {
		members = append(members, groups[l])
	}
	return names, members, nil
}
