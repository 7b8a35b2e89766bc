// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// Load reads a configuration and returns it as JSON.
type Load func(cmd *cobra.Command, file, adapter string) ([]byte, error)

// command is one call of a command.
type command struct {
	cmd      *cobra.Command
	load     Load
	logger   *slog.Logger
	now      time.Time // of the whole call, so that nothing expires while it goes on
	json     bool
	address  string
	config   string
	adapter  string
	store    string
	schema   string
	sealKeys []string
}

func (c *command) clock() time.Time { return c.now }

const long = `Works on a whole store. The store is that of the configuration (--config, or the Caddyfile in this folder), or the one that
--store names. A store is named by a Caddyfile that has it, by "badger:" and its folder, by a DSN such as
postgres://user@host/database, or by a placeholder such as {env.GATEHOUSE_DSN}.

Where a running server has the store open it is asked, over its admin API, to read it; what writes to a store wants the server
stopped. Values stay sealed: a file is useless without the sealing key, which is not in it.`

// Command returns "store" with its subcommands. The flags of every command of ours are added where it is registered.
func Command(load Load) *cobra.Command {
	all := &cobra.Command{
		Use: "store", Short: "Moves, backs up, restores, checks and measures a store", Long: long,
	}
	flags := all.PersistentFlags()
	flags.String("store", "", "the store, if it is not that of the configuration")
	flags.String("schema", "", "the schema of a store that is named by a DSN")
	flags.StringArray("seal-key", nil, "a sealing key of a store that is named without its configuration, as {env.NAME} or {file.PATH}")
	for _, sub := range []*cobra.Command{
		exportCommand(load), importCommand(load), migrateCommand(load), backupCommand(load), restoreCommand(load), checkCommand(load),
		statsCommand(load),
	} {
		all.AddCommand(sub)
	}
	return all
}

// build returns a subcommand.
func build(load Load, use, short string, args cobra.PositionalArgs, run func(c *command, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			c := &command{cmd: cmd, load: load, logger: slog.New(slog.DiscardHandler), now: time.Now().UTC().Truncate(time.Millisecond)}
			flags := cmd.Flags()
			for name, into := range map[string]*string{
				"address": &c.address, "config": &c.config, "adapter": &c.adapter, "store": &c.store, "schema": &c.schema,
			} {
				var err error
				if *into, err = flags.GetString(name); err != nil {
					return err
				}
			}
			var err error
			if c.json, err = flags.GetBool("json"); err != nil {
				return err
			}
			if c.sealKeys, err = flags.GetStringArray("seal-key"); err != nil {
				return err
			}
			return run(c, args)
		},
	}
}

// say tells people how it goes.
func (c *command) say(format string, args ...any) {
	c.cmd.PrintErrln(plain(fmt.Sprintf(format, args...)))
}

// plain shows what could tell a terminal something, as it may stand in a file that somebody else has made.
func plain(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	return strings.Trim(strconv.QuoteToGraphic(text), `"`)
}

// print writes a result as JSON, or as a table when it is for people.
func (c *command) print(result any, rows func(add func(cells ...any))) error {
	out := c.cmd.OutOrStdout()
	if c.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(table, "\t") // a tabwriter keeps its errors for Flush
			}
			_, _ = fmt.Fprint(table, plain(fmt.Sprint(cell)))
		}
		_, _ = fmt.Fprintln(table)
	})
	return table.Flush()
}

// every is the time between two lines that tell how far something is.
const every = 2 * time.Second

// meter tells how far something is.
type meter struct {
	c     *command
	doing string
	begun time.Time
	told  time.Time
}

func (c *command) meter(doing string) *meter {
	now := time.Now()
	return &meter{c: c, doing: doing, begun: now, told: now}
}

// items tells, now and then, how many items were done.
func (m *meter) items(n int64) {
	if now := time.Now(); now.Sub(m.told) >= every {
		m.told = now
		m.c.say("%s: %d records, %d/s", m.doing, n, m.rate(n))
	}
}

func (m *meter) rate(n int64) int64 {
	return int64(float64(n) / max(time.Since(m.begun).Seconds(), 0.001))
}

// over says what it came to.
func (m *meter) over(n, bytes int64) {
	m.c.say("%s: %d records, %s, in %s, %d/s", m.doing, n, size(bytes), time.Since(m.begun).Round(10*time.Millisecond), m.rate(n))
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
