// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/storageadmin"
	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/check"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

func checkCommand(load Load) *cobra.Command {
	var repair bool
	var discard string
	cmd := build(load, "check", "Reads everything in a store, and says what is wrong with it", cobra.NoArgs, func(c *command, _ []string) error {
		return c.check(repair, discard)
	})
	cmd.Flags().BoolVar(&repair, "repair", false, "mend the indexes")
	cmd.Flags().StringVar(&discard, "discard", "", "move records that cannot be read into this new file, as lines of JSON; implies --repair")
	return cmd
}

func (c *command) check(repair bool, discard string) error {
	p, err := c.find(c.store)
	if err != nil {
		return err
	}
	var report check.Report
	switch held := c.held(p); {
	case held && discard != "":
		return fmt.Errorf("%s: %w", p, errHeld)
	case held:
		report, err = c.checkThere(repair)
	default:
		report, err = c.checkHere(p, repair || discard != "", discard)
	}
	if err != nil {
		return err
	}
	if err := c.printReport(&report); err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("the store is not in order: %d findings", report.Found-report.Mended)
	}
	return nil
}

func (c *command) printReport(report *check.Report) error {
	return c.print(report, func(add func(...any)) {
		add("records", report.Records)
		add("index entries", report.Entries)
		add("beside tables", report.Bare)
		if report.Unknown > 0 {
			add("not known", report.Unknown, "of "+strings.Join(report.UnknownTables, ", "))
		}
		add("findings", report.Found)
		add("mended", report.Mended)
		for _, f := range report.Findings {
			what := "FOUND"
			if f.Mended {
				what = "MENDED"
			}
			add(what, f.What, strings.TrimSuffix(f.Table+" "+f.Index, " "), f.ID, f.Cause)
		}
		if more := report.Found - int64(len(report.Findings)); more > 0 {
			add("FOUND", fmt.Sprintf("and %d more", more))
		}
	})
}

// checkThere has the running server check its store.
func (c *command) checkThere(repair bool) (report check.Report, err error) {
	response, err := c.ask(http.MethodPost, fmt.Sprintf("%s/check?repair=%t", storageadmin.Path, repair))
	if err != nil {
		return report, err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	m := c.meter("checking")
	for decoder := json.NewDecoder(response.Body); ; {
		var line storageadmin.Line
		if err := decoder.Decode(&line); err != nil {
			return report, fmt.Errorf("the check broke off: %w", err)
		}
		switch {
		case line.Error != "":
			return report, errors.New(line.Error)
		case line.Report != nil:
			return *line.Report, nil
		}
		m.items(line.Items)
	}
}

func (c *command) checkHere(p *place, repair bool, discard string) (report check.Report, err error) {
	if p.sealer == nil {
		return report, fmt.Errorf("the sealing key of %s is not known, without which nothing that is sealed can be read: "+
			"name its configuration with --config, or the key with --seal-key", p)
	}
	ctx := c.cmd.Context()
	db, err := c.open(ctx, p, true)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := transfer.Unfinished(ctx, db); err != nil {
		return report, err
	}
	checker := check.Checker{
		DB: db, Tables: tables.All(p.sealer), Bare: tables.Bare, Repair: repair, Progress: c.meter("checking").items,
	}
	if discard == "" {
		return checker.Run(ctx)
	}
	file, err := os.OpenFile(discard, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // which is nobody else's, and no link to what is
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("the file %q is there already: name a new one", discard)
	}
	if err != nil {
		return report, err
	}
	checker.Discard = func(item storage.Item) error { return errors.Join(json.NewEncoder(file).Encode(item), file.Sync()) }
	report, err = checker.Run(ctx)
	return report, errors.Join(err, file.Close())
}

func statsCommand(load Load) *cobra.Command {
	return build(load, "stats [<file>]", "Says how much of what there is in a store, or in an export of one", cobra.MaximumNArgs(1),
		func(c *command, args []string) error {
			stats, err := c.stats(args)
			if err != nil {
				return err
			}
			return c.print(stats, func(add func(...any)) {
				add("TABLE", "RECORDS", "BYTES", "INDEX ENTRIES", "BYTES", "EXPIRING", "LARGEST")
				for _, t := range stats.Tables {
					add(t.Name, t.Records, t.Bytes, t.Entries, t.EntriesBytes, t.Expiring, t.Largest)
				}
				add("all", stats.Items, stats.Bytes)
			})
		})
}

func (c *command) stats(args []string) (stats check.Stats, err error) {
	if len(args) == 1 {
		return c.statsOf(args[0])
	}
	p, err := c.find(c.store)
	if err != nil {
		return stats, err
	}
	if c.held(p) {
		response, err := c.ask(http.MethodGet, storageadmin.Path+"/stats")
		if err != nil {
			return stats, err
		}
		defer func() { _ = response.Body.Close() }() // it has been read
		return stats, json.NewDecoder(response.Body).Decode(&stats)
	}
	db, err := c.open(c.cmd.Context(), p, true)
	if err != nil {
		return stats, err
	}
	err = transfer.Snapshot(c.cmd.Context(), db, func(items iter.Seq2[storage.Item, error]) (err error) {
		stats, err = check.Count(items, c.now, c.meter("counting").items)
		return err
	})
	return stats, errors.Join(err, db.Close())
}

// statsOf reads an export, and thereby finds out whether it is whole.
func (c *command) statsOf(path string) (stats check.Stats, err error) {
	var from io.Reader = c.cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return stats, err
		}
		defer func() { _ = file.Close() }() // it is only read
		from = file
	}
	r, err := transfer.NewReader(bufio.NewReaderSize(from, 1<<20))
	if err != nil {
		return stats, fmt.Errorf("%s: %w", path, err)
	}
	return check.Count(r.Items(), r.Header.MadeAt, c.meter("reading").items)
}
