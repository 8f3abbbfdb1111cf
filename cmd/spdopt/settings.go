package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

// settingFlags are the global flags about settings.
type settingFlags struct {
	config string
	set    []string
	dryRun bool
}

func (f *settingFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.config, "config", "", "take settings from this TOML file: names of flags, or a table for each command")
	flags.StringArrayVar(&f.set, "set", nil, "KEY=VALUE, the same as --KEY VALUE; may be repeated")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the settings and where each comes from, and do nothing")
}

// presentation are the flags that say how to report, or where settings come from: they are no settings of a run.
var presentation = []string{"help", "json", "jsonl", "quiet", "verbose", "progress", "log-format", "config", "dry-run", "runs", "resume"}

// commandLineOnly are the flags that neither --set nor a file can set.
var commandLineOnly = []string{"help", "version", "config", "set", "dry-run"}

// errDryRun ends a command after its settings were printed.
var errDryRun = errors.New("dry run")

// resolve gives each flag of the command its value: the command line, then the environment (SPDOPT_ and the name in capitals), then the file, then the
// default. It leaves a.origins behind. A resumed run takes its settings from the run alone.
func (a *app) resolve(cmd *cobra.Command) error {
	a.origins = map[string]run.Origin{}
	cmd.Flags().Visit(func(f *pflag.Flag) { a.origins[f.Name] = run.FromFlag })
	if a.resume != nil {
		return nil
	}
	if err := a.applySet(cmd); err != nil {
		return err
	}
	if err := a.resolveEnvironment(cmd); err != nil {
		return err
	}
	if a.config != "" {
		return a.applyFile(cmd)
	}
	return nil
}

// assign sets a flag that nothing of more weight has set.
func (a *app) assign(cmd *cobra.Command, f *pflag.Flag, value string, from run.Origin, where string) error {
	if a.origins[f.Name] != "" {
		return nil
	}
	if err := cmd.Flags().Set(f.Name, value); err != nil {
		return usagef("%s: %q %s for --%s (%s --help)", where, value, misfit(f, err), f.Name, cmd.CommandPath())
	}
	a.origins[f.Name] = from
	return nil
}

// applySet takes --set KEY=VALUE as the flag --KEY. What opens a brace is for the command.
func (a *app) applySet(cmd *cobra.Command) error {
	for _, s := range a.set {
		if strings.HasPrefix(strings.TrimSpace(s), "{") {
			if cmd.Annotations["set"] == "" {
				return usagef("--set: %q is not KEY=VALUE", s)
			}
			continue
		}
		key, value, found := strings.Cut(s, "=")
		if !found {
			return usagef("--set: %q is not KEY=VALUE", s)
		}
		f, err := settable(cmd, key, "--set")
		if err != nil {
			return err
		}
		if a.origins[f.Name] != "" {
			return usagef("--set %s: --%s is given as well; use one of them", s, f.Name)
		}
		if err := a.assign(cmd, f, value, run.FromFlag, "--set "+key); err != nil {
			return err
		}
	}
	return nil
}

// settable finds the flag of a key, which may have _ for -.
func settable(cmd *cobra.Command, key, where string) (*pflag.Flag, error) {
	name := strings.ReplaceAll(strings.TrimSpace(key), "_", "-")
	if slices.Contains(commandLineOnly, name) {
		return nil, usagef("%s: %s can only be given on the command line", where, name)
	}
	f := cmd.Flags().Lookup(name)
	if f == nil {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(commandLineOnly, f.Name) {
				names = append(names, f.Name)
			}
		})
		return nil, unknown("setting", key, where, names, cmd.CommandPath()+" --help")
	}
	return f, nil
}

// applyFile takes settings from the TOML file: keys at its top that this command has, and those of its own table, [minimize] or [bench.es].
func (a *app) applyFile(cmd *cobra.Command) error {
	var file map[string]any
	if _, err := toml.DecodeFile(a.config, &file); err != nil {
		return &matio.Error{File: a.config, What: fmt.Sprintf("cannot be used as settings: %v", err)}
	}
	path := strings.Fields(cmd.CommandPath())[1:]
	table := file
	for _, word := range path {
		next, _ := table[word].(map[string]any)
		table = next
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if err := a.fromFile(cmd, key, table[key], true); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(file)) {
		if _, isTable := file[key].(map[string]any); isTable {
			if !slices.Contains(commandNames(cmd.Root()), key) {
				return unknown("command", key, a.config, commandNames(cmd.Root()), "spdopt --help")
			}
			continue
		}
		if err := a.fromFile(cmd, key, file[key], false); err != nil {
			return err
		}
	}
	return nil
}

// fromFile assigns one key of the file. Keys at the top may belong to other commands.
func (a *app) fromFile(cmd *cobra.Command, key string, value any, own bool) error {
	f, err := settable(cmd, key, a.config)
	if err != nil {
		if !own && anyCommandHas(cmd.Root(), strings.ReplaceAll(key, "_", "-")) {
			return nil
		}
		return err
	}
	text, err := settingText(value)
	if err != nil {
		return usagef("%s: %s: %v", a.config, key, err)
	}
	return a.assign(cmd, f, text, run.FromFile, a.config+": "+key)
}

func anyCommandHas(c *cobra.Command, flag string) bool {
	if c.Flags().Lookup(flag) != nil || c.PersistentFlags().Lookup(flag) != nil {
		return true
	}
	return slices.ContainsFunc(c.Commands(), func(c *cobra.Command) bool { return anyCommandHas(c, flag) })
}

// settingText is the text of a TOML value that a flag takes; lists are joined by commas.
func settingText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case bool, int64:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case []any:
		var parts []string
		for _, e := range v {
			text, err := settingText(e)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("a value of this kind is no setting; use text, a number, true, false or a list of them")
}

// settings lists the flags of a command with their values and origins. Of --set it lists what is for the command itself.
func (a *app) settings(cmd *cobra.Command) (all []run.Setting) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		s := run.Setting{Name: f.Name, Value: f.Value.String(), Origin: a.origins[f.Name]}
		if s.Origin == "" {
			s.Origin = run.FromDefault
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values := list.GetSlice()
			if f.Name == "set" {
				if values = a.ownSettings(); len(values) == 0 {
					return
				}
			}
			text, _ := json.Marshal(values) // strings always marshal
			s.Value, s.List = string(text), true
		}
		all = append(all, s)
	})
	return all
}

// ownSettings are the values of --set that open a brace: they are for the command, not for its flags.
func (a *app) ownSettings() (own []string) {
	for _, s := range a.set {
		if strings.HasPrefix(strings.TrimSpace(s), "{") {
			own = append(own, s)
		}
	}
	return own
}

// decide gives a flag a value that the command chose itself, such as a random seed.
func (a *app) decide(cmd *cobra.Command, name, value string) {
	if err := cmd.Flags().Set(name, value); err == nil {
		a.origins[name] = run.FromDraw
		a.debug("--%s %s (%s)", name, value, run.FromDraw)
	}
}

// drawSeed gives --seed a random value unless it has one. 53 bits survive every reader of JSON.
func (a *app) drawSeed(cmd *cobra.Command) {
	if !cmd.Flags().Changed("seed") {
		a.decide(cmd, "seed", strconv.FormatUint(rand.Uint64()>>11, 10))
	}
}

// seeded is the source of the random choices of a command.
func seeded(seed uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.New(rand.NewChaCha8(key))
}

// dryRunOutput is the JSON object of --dry-run.
type dryRunOutput struct {
	Schema   int                  `json:"schema"`
	Command  string               `json:"command"`
	Args     []string             `json:"args"`
	Settings map[string]dryRunOne `json:"settings"`
}

type dryRunOne struct {
	Value  string     `json:"value"`
	Origin run.Origin `json:"origin"`
}

// printSettings answers --dry-run.
func (a *app) printSettings(cmd *cobra.Command, args []string) error {
	all := slices.DeleteFunc(a.settings(cmd), func(s run.Setting) bool { return s.Name == "help" || s.Name == "dry-run" })
	if choose := a.choices[cmd]; choose != nil {
		a.applyChoices(all, choose(args))
	}
	if a.json {
		o := dryRunOutput{Schema: schema, Command: cmd.CommandPath(), Args: append([]string{}, args...), Settings: map[string]dryRunOne{}}
		for _, s := range all {
			o.Settings[s.Name] = dryRunOne{s.Value, s.Origin}
		}
		return a.printJSON(o)
	}
	var lines [][2]string
	for _, s := range all {
		value := s.Value
		if value == "" {
			value = `""`
		}
		lines = append(lines, [2]string{s.Name, fmt.Sprintf("%s  (%s)", value, s.Origin)})
	}
	a.pairs(lines...)
	return nil
}

// choice is what a command uses where a flag is not given, and who decides that.
type choice struct {
	value string
	by    run.Origin
}

// applyChoices puts choices in the place of defaults.
func (a *app) applyChoices(all []run.Setting, made map[string]choice) {
	for i := range all {
		if c, ok := made[all[i].Name]; ok && all[i].Origin == run.FromDefault {
			all[i].Value, all[i].Origin = c.value, c.by
		}
	}
}

// commandLine rebuilds the arguments that give a command the settings of a run. The flags of cmd say how lists are written.
func commandLine(cmd *cobra.Command, m *run.Manifest) ([]string, error) {
	args := strings.Fields(m.Verb)
	for _, s := range m.Settings {
		if s.Origin == run.FromDefault {
			continue
		}
		f := cmd.Flag(s.Name)
		if f == nil {
			return nil, fmt.Errorf("the run has a setting %q that this spdopt does not know", s.Name)
		}
		values := []string{s.Value}
		if s.List {
			if err := json.Unmarshal([]byte(s.Value), &values); err != nil {
				return nil, fmt.Errorf("the run's setting %q is damaged: %w", s.Name, err)
			}
		}
		for _, v := range values {
			if f.Value.Type() == "stringSlice" {
				v = quoted(v)
			}
			args = append(args, "--"+f.Name+"="+v)
		}
	}
	return append(append(args, "--"), m.Args...), nil
}

// quoted is an element of a comma-separated list.
func quoted(v string) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{v})
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
