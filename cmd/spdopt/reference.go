package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

//go:generate go run . reference ../../docs

// referenceCommand writes the pages of docs/commands and docs/man. It is hidden: only the release and the check that the pages are true use it.
func (a *app) referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reference FOLDER",
		Short:  "Write a Markdown page and a manual page for every command below FOLDER",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			root.InitDefaultCompletionCmd()
			date := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC) // fixed, so that the pages change only with the commands
			header := &doc.GenManHeader{Title: "SPDOPT", Section: "1", Source: "spdopt", Date: &date}
			pages, manual := filepath.Join(args[0], "commands"), filepath.Join(args[0], "man")
			if err := errors.Join(fresh(pages), fresh(manual)); err != nil {
				return err
			}
			return errors.Join(doc.GenMarkdownTree(root, pages), doc.GenManTree(root, header, manual))
		},
	}
}

// fresh makes an empty folder, so that the page of a command that is gone goes too.
func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}
