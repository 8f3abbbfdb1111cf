package algoperf

import (
	"encoding/json"

	"github.com/spdopt/spdopt/nnopt"
)

// aroundLR is the search space of an optimizer whose learning rate is expected within a factor of ten around center: the learning rate, weight decay
// and the length of the warm-up.
func aroundLR(center float64) Space {
	return Space{Dims: []Dim{
		{Name: "lr", Low: center / 10, High: center * 10, Log: true},
		{Name: "decay", Low: 1e-4, High: 1e-1, Log: true},
		{Name: "warmup", Choices: []float64{0.02, 0.05, 0.1}},
	}}
}

// selfTuned are the hyperparameters of a submission in the self-tuning ruleset.
func selfTuned(lr float64) Point { return Point{"lr": lr, "decay": 1e-2, "warmup": 0.05} }

// plain is the course of an optimizer of nnopt with options, a warm-up, and a cosine to zero.
func plain(optimizer, options string) Course {
	return Course{Optimizer: optimizer, Options: json.RawMessage(options)}
}

// scheduleFree is that of one without a schedule.
func scheduleFree(optimizer, options string) Course {
	return Course{Optimizer: optimizer, Options: json.RawMessage(options), Shape: nnopt.Constant, Restart: true}
}

// Entries lists the submissions: the four of the target-setting procedure first, then the other optimizers of nnopt.
func Entries() []Entry {
	all := []Entry{
		Of("adamw", "AdamW", plain("adamw", ""), aroundLR(3e-3), selfTuned(3e-3)),
		Of("nadamw", "AdamW with a Nesterov numerator, the baseline", plain("nadamw", ""), aroundLR(3e-3), selfTuned(3e-3)),
		Of("nesterov", "descent with Nesterov momentum", plain("sgd", `{"nesterov":true}`), aroundLR(1e-1), selfTuned(1e-1)),
		Of("heavy-ball", "descent with heavy-ball momentum", plain("sgd", ""), aroundLR(1e-1), selfTuned(1e-1)),
		Of("sgd", "descent without momentum", plain("sgd", `{"no_momentum":true}`), aroundLR(3e-1), selfTuned(3e-1)),
		Of("spectral", "spectral-factorised preconditioner", plain("spectral", `{"interval":5}`), aroundLR(5e-3), selfTuned(5e-3)),
		Of("spectral-schedule-free", "the same with averaged iterates instead of a schedule",
			scheduleFree("averaged", `{"kind":"schedule-free","inner":"spectral","options":{"interval":5}}`), aroundLR(1e-2), selfTuned(1e-2)),
		Of("schedule-free-adamw", "AdamW with averaged iterates instead of a schedule", scheduleFree("schedule-free-adamw", ""), aroundLR(5e-3), selfTuned(5e-3)),
	}
	return all
}

// EntryByName returns the submission called name, or an *UnknownError.
func EntryByName(name string) (Entry, error) {
	for _, e := range Entries() {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry{}, &UnknownError{"submission", name}
}
