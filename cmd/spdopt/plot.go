package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/monitor"
	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/internal/run"
)

// matrixPictures are the pictures of matrices, by the word of --kind. Each draws the matrices of some files, a list for a file.
var matrixPictures = map[string]func(f *plotFlags, names []string, files [][]matio.Matrix) (string, error){
	"ellipses": drawEllipses,
	"spectrum": drawSpectrum,
	"heat":     drawHeat,
}

type plotFlags struct {
	svg, kind, title string
	coordinates      []int
}

func (a *app) plotCommand() *cobra.Command {
	f := &plotFlags{}
	cmd := &cobra.Command{
		Use:   "plot RUN... | FILE...",
		Short: "Draw the curves of runs, or matrices as ellipses, spectra or heat maps",
		Long: `Draw into an SVG file

  curves    the curves of one run, or what several runs have in common (without --kind)
  ellipses  x^T S^-1 x = 1 in the plane of two coordinates, for every SPD matrix of every file; a stack from light to dark
  spectrum  the eigenvalues of every SPD matrix, from the largest, on a logarithmic axis
  heat      the sizes of the elements of matrices as colours, on a logarithmic scale`,
		Example: `  spdopt plot 7f3a0c21 --svg run.svg
  spdopt plot runs/adamw runs/spectral --svg compare.svg
  spdopt plot covariances.npy mean.npy --kind ellipses --coordinates 0,1 --svg ellipses.svg
  spdopt plot covariances.npy --kind spectrum --svg spectra.svg`,
		Args: someRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			if f.svg == "" {
				return usagef("plot needs --svg FILE")
			}
			if err := oneOf("--kind", f.kind, append([]string{"curves"}, slices.Sorted(maps.Keys(matrixPictures))...)...); err != nil {
				return err
			}
			var picture string
			if err := unlessInterrupted(a.ctx, func(*guard) (err error) { picture, err = a.picture(f, args); return err }); err != nil {
				return err
			}
			if err := writeWhole(f.svg, []byte(picture)); err != nil {
				return err
			}
			return a.written(f.svg)
		},
	}
	pictureFlag(cmd, &f.svg, "the picture")
	cmd.Flags().StringVar(&f.kind, "kind", "curves", "curves of runs; ellipses, spectrum or heat of matrices in files")
	cmd.Flags().StringVar(&f.title, "title", "", "title of a picture of matrices")
	cmd.Flags().IntSliceVar(&f.coordinates, "coordinates", []int{0, 1}, "the two coordinates of ellipses")
	return cmd
}

func (a *app) picture(f *plotFlags, args []string) (string, error) {
	if draw := matrixPictures[f.kind]; draw != nil {
		files, err := a.matricesOf(args, f.kind)
		if err != nil {
			return "", err
		}
		return draw(f, namesOfFiles(args), files)
	}
	views, err := a.views(args)
	var none *run.NotRunError
	if errors.As(err, &none) && matio.FormatOf(none.Name) != "" {
		none.What += "; matrices are drawn with --kind ellipses, spectrum or heat"
	}
	if err != nil {
		return "", err
	}
	curves := views[0].Curves()
	if len(views) > 1 {
		curves = monitor.Compare(views, "")
	}
	if curves == nil {
		return "", &run.NotRunError{Name: strings.Join(args, ", "), What: "there is nothing to draw: no course of numbers, or none in common"}
	}
	return curves.SVG(), nil
}

// matricesOf reads the matrices of each file.
func (a *app) matricesOf(paths []string, kind string) ([][]matio.Matrix, error) {
	check := matio.Check{Kind: matio.SPD}
	if kind == "heat" {
		check.Kind = matio.General
	}
	files := make([][]matio.Matrix, len(paths))
	for i, path := range paths {
		all, _, err := matio.ReadAll(a.source(path), check)
		if err != nil {
			return nil, err
		}
		files[i] = all
	}
	return files, nil
}

// namesOfFiles are their names without folder and extension.
func namesOfFiles(paths []string) []string {
	names := make([]string, len(paths))
	for i, path := range paths {
		name := filepath.Base(path)
		names[i] = strings.TrimSuffix(name, filepath.Ext(name))
	}
	return names
}

// nameIn is the name of matrix m of count in a file.
func nameIn(file string, m, count int) string {
	if count == 1 {
		return file
	}
	return fmt.Sprintf("%s [%d]", file, m)
}

func drawEllipses(f *plotFlags, names []string, files [][]matio.Matrix) (string, error) {
	if len(f.coordinates) != 2 || f.coordinates[0] == f.coordinates[1] || slices.Min(f.coordinates) < 0 {
		return "", usagef("--coordinates needs two different numbers from 0, such as 0,1")
	}
	i, j := f.coordinates[0], f.coordinates[1]
	e := &report.Ellipses{Title: f.title, X: strconv.Itoa(i), Y: strconv.Itoa(j)}
	for k, all := range files {
		family := report.EllipseFamily{Name: names[k]}
		for m := range all {
			s := &all[m]
			if max(i, j) >= s.Rows {
				return "", usagef("%s has %d coordinates, so --coordinates must be below %d", s.Subject(), s.Rows, s.Rows)
			}
			family.Shapes = append(family.Shapes, [3]float64{s.At(i, i), s.At(i, j), s.At(j, j)})
		}
		e.Groups = append(e.Groups, family)
	}
	return e.SVG(), nil
}

func drawSpectrum(f *plotFlags, names []string, files [][]matio.Matrix) (string, error) {
	panel := report.Panel{Y: "eigenvalue", Log: true}
	for k, all := range files {
		for m := range all {
			values := make([]float64, all[m].Rows)
			if !eigen.SymValues(all[m].Matrix, values) {
				return "", &matio.Error{File: all[m].File, What: all[m].Subject() + ": its eigenvalues did not converge"}
			}
			slices.Reverse(values)
			curve := report.Curve{Name: nameIn(names[k], m, len(all))}
			for i, v := range values {
				curve.Points = append(curve.Points, [2]float64{float64(i + 1), v})
			}
			panel.Curves = append(panel.Curves, curve)
		}
	}
	return (&report.Curves{Title: f.title, X: "index, from the largest", Panels: []report.Panel{panel}}).SVG(), nil
}

func drawHeat(f *plotFlags, names []string, files [][]matio.Matrix) (string, error) {
	r := &report.Raster{Title: f.title}
	for k, all := range files {
		for m := range all {
			r.Panels = append(r.Panels, report.RasterPanel{Name: nameIn(names[k], m, len(all)), Rows: all[m].Rows, Cols: all[m].Cols, At: all[m].At})
		}
	}
	return r.SVG(), nil
}
