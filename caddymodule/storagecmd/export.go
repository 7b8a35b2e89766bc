// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatehouse-id/gatehouse/caddymodule/storageadmin"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

// Exported is what "export" and "backup" print as JSON.
type Exported struct {
	File string `json:"file,omitempty"`
	transfer.Totals
	// Removed are the older backups that had to go.
	Removed []string `json:"removed,omitempty"`
}

func exportCommand(load Load) *cobra.Command {
	var overwrite bool
	cmd := build(load, "export [<file>]", "Writes all of a store into a file, or to standard output", cobra.MaximumNArgs(1),
		func(c *command, args []string) error {
			if len(args) == 0 || args[0] == "-" {
				return c.exportOut()
			}
			return c.exportFile(args[0], overwrite)
		})
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace the file if there is one")
	return cmd
}

func (c *command) exportOut() error {
	out := c.cmd.OutOrStdout()
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return errors.New("an export is not for a terminal: name a file, or send it somewhere")
	}
	_, err := c.writeExport(out)
	return err
}

func (c *command) exportFile(path string, overwrite bool) error {
	if _, err := os.Stat(path); err == nil && !overwrite {
		return fmt.Errorf("the file %q is there already: --overwrite replaces it", path)
	}
	totals, err := c.keep(path)
	if err != nil {
		return err
	}
	return c.printExported(Exported{File: path, Totals: totals})
}

func (c *command) printExported(e Exported) error {
	return c.print(e, func(add func(...any)) {
		add("file", e.File)
		add("records", e.Items)
		add("bytes", e.Bytes)
		add("digest", e.Digest)
		for _, gone := range e.Removed {
			add("removed", gone)
		}
	})
}

// writeExport writes an export of the store, which the running server sends or which is opened here.
func (c *command) writeExport(to io.Writer) (totals transfer.Totals, err error) {
	p, err := c.find(c.store)
	if err != nil {
		return totals, err
	}
	buffered := bufio.NewWriterSize(to, 1<<20)
	m := c.meter("exporting")
	if c.held(p) {
		totals, err = c.relay(buffered, m)
	} else {
		totals, err = c.exportHere(p, buffered, m)
	}
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return totals, err
	}
	m.over(totals.Items, totals.Bytes)
	c.say("the sealing key is not in it: keep that as well, and elsewhere")
	return totals, nil
}

// relay passes on what the running server sends, and reads it to its end: one that is cut off is none.
func (c *command) relay(to io.Writer, m *meter) (totals transfer.Totals, err error) {
	from, err := c.stream()
	if err != nil {
		return totals, err
	}
	defer func() { _ = from.Close() }() // it has been read
	return read(io.TeeReader(from, to), m)
}

// read reads an export to its end.
func read(from io.Reader, m *meter) (totals transfer.Totals, err error) {
	r, err := transfer.NewReader(from)
	if err != nil {
		return totals, err
	}
	if totals, err = transfer.Sum(r.Items(), func(t transfer.Totals) { m.items(t.Items) }); err != nil {
		return totals, err
	}
	totals, _ = r.Totals()
	return totals, nil
}

func (c *command) exportHere(p *place, to io.Writer, m *meter) (totals transfer.Totals, err error) {
	ctx := c.cmd.Context()
	header, err := storageadmin.NewHeader(p.key, p.sealer, c.now)
	if err != nil {
		return totals, err
	}
	db, err := c.open(ctx, p, true)
	if err != nil {
		return totals, err
	}
	totals, err = transfer.Export(ctx, db, to, header, func(t transfer.Totals) { m.items(t.Items) })
	return totals, errors.Join(err, db.Close())
}

// keep writes an export into a file that is there as a whole or not at all, and reads it back from there.
func (c *command) keep(path string) (totals transfer.Totals, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part") // which nobody else may read
	if err != nil {
		return totals, err
	}
	defer func() {
		if removed := os.Remove(file.Name()); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}()
	totals, err = c.writeExport(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return totals, err
	}
	written, err := os.Open(file.Name())
	if err != nil {
		return totals, err
	}
	again, err := read(written, c.meter("reading it back"))
	if err = errors.Join(err, written.Close()); err != nil {
		return totals, fmt.Errorf("reading back what was written: %w", err)
	}
	if again != totals {
		return totals, fmt.Errorf("reading back what was written: %w", transfer.ErrDamaged)
	}
	return totals, os.Rename(file.Name(), path)
}

// backupName is what backups in a folder are called: they sort by time.
const backupName = "gatehouse-20060102T150405Z.backup"

func backupCommand(load Load) *cobra.Command {
	var most int
	cmd := build(load, "backup <file or folder>", "Writes a backup of a store while the server runs, and reads it back", cobra.ExactArgs(1),
		func(c *command, args []string) error { return c.backup(args[0], most) })
	cmd.Flags().IntVar(&most, "keep", 0, "keep this many backups in the folder, and remove older ones")
	return cmd
}

func (c *command) backup(to string, most int) error {
	info, err := os.Stat(to)
	switch {
	case err == nil && info.IsDir():
	case most != 0:
		return errors.New("--keep wants a folder that is there")
	default:
		return c.exportFile(to, false)
	}
	if most < 0 {
		return errors.New("--keep wants a number above 0")
	}
	path := filepath.Join(to, c.now.Format(backupName))
	totals, err := c.keep(path)
	if err != nil {
		return err
	}
	done := Exported{File: path, Totals: totals}
	if most > 0 {
		if done.Removed, err = thin(to, most); err != nil {
			return err
		}
	}
	return c.printExported(done)
}

// thin removes all but the newest backups of a folder.
func thin(dir string, most int) (removed []string, err error) {
	entries, err := os.ReadDir(dir) // which is sorted by name; the folder's own may look like a pattern
	if err != nil {
		return nil, err
	}
	var all []string
	for _, entry := range entries {
		if name := entry.Name(); len(name) == len(backupName) && entry.Type().IsRegular() {
			if _, err := time.Parse(backupName, name); err == nil { // or else it is somebody else's
				all = append(all, filepath.Join(dir, name))
			}
		}
	}
	for _, path := range all[:max(0, len(all)-most)] {
		if err := os.Remove(path); err != nil {
			return removed, err
		}
		removed = append(removed, path)
	}
	return removed, nil
}
