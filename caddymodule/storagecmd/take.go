// SPDX-License-Identifier: Apache-2.0

package storagecmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

// Taken is what "import", "migrate" and "restore" print as JSON.
type Taken struct {
	transfer.Result
	DryRun bool `json:"dry_run,omitempty"`
	// Kept is the folder of the store that was replaced.
	Kept string `json:"kept,omitempty"`
}

func (c *command) printTaken(t Taken) error {
	return c.print(t, func(add func(...any)) {
		if t.DryRun {
			add("dry run", "nothing was written")
		}
		add("records", t.Source.Items)
		add("bytes", t.Source.Bytes)
		add("digest", t.Source.Digest)
		add("written", t.Written)
		add("there already", t.Same)
		add("removed", t.Removed)
		add("expired", t.Expired)
		for _, table := range slices.Sorted(maps.Keys(t.LeftOut)) {
			add("left out", t.LeftOut[table], table)
		}
		if t.LeftOut != nil && len(t.LeftOut) == 0 {
			add("left out", "nothing: nobody was logged in")
		}
		if t.Kept != "" {
			add("the store before", t.Kept)
		}
	})
}

// options are those of commands that fill a store.
type options struct{ overwrite, dry, ahead, unproven, withoutLogins bool }

func (o *options) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&o.overwrite, "overwrite", false, "take a store that is not empty, and remove what else is in it")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "say what would be done, and write nothing")
	return cmd
}

func importCommand(load Load) *cobra.Command {
	var o options
	return o.fileFlags(o.flags(build(load, "import <file>", `Fills a store from a file, or from standard input ("-")`, cobra.ExactArgs(1),
		func(c *command, args []string) error { return c.importFile(args[0], o) })))
}

// fileFlags are those of commands that take a file, which is of another day than the store.
func (o *options) fileFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&o.unproven, "unproven", false, "take a file of which nobody can tell that it was made with the sealing key")
	cmd.Flags().BoolVar(&o.withoutLogins, "without-logins", false, "leave out everything by which somebody is logged in")
	cmd.Long = cmd.Short + `.

What is in the file is of the day when it was made: what was ended since is good again. With --without-logins all sessions, grants, refresh
tokens, codes and requests that are under way are left out, so that everybody logs in anew; users, phones, certificates, consents, keys,
operations, revocations and the audit trail are taken. Access tokens are in no store: "gatehouse keys revoke" ends those.`
	return cmd
}

// errUnknown is a table that this release has not.
var errUnknown = errors.New("this release does not know what that is, and whether somebody is logged in by it: use the release that has " +
	"made the file")

// leaveOut judges tables; nil where all of them are taken.
func (o *options) leaveOut() func(table string) (bool, error) {
	if !o.withoutLogins {
		return nil
	}
	return func(table string) (bool, error) {
		login, known := tables.Login(table)
		if !known {
			return false, fmt.Errorf("there is something of %q: %w", table, errUnknown)
		}
		return login, nil
	}
}

func (c *command) importFile(path string, o options) error {
	p, err := c.find(c.store)
	if err != nil {
		return err
	}
	if err := c.free(p); err != nil {
		return err
	}
	return c.reading(path, p, o.unproven, func(r *transfer.Reader) error {
		db, err := c.openQuiet(c.cmd.Context(), p)
		if err != nil {
			return err
		}
		result, err := c.fill(db, r.Header.ID, r.Items(), o)
		if err = errors.Join(err, db.Close()); err != nil {
			return err
		}
		c.warn(r, o)
		return c.printTaken(Taken{Result: result, DryRun: o.dry})
	})
}

// tokens is what is said of what no store can leave out.
const tokens = `access tokens are good for as long as they last: "gatehouse keys revoke" ends them`

// warn says what a store does not know that was filled from a file.
func (c *command) warn(r *transfer.Reader, o options) {
	at := r.Header.MadeAt.Format("2006-01-02 15:04:05 MST")
	switch {
	case o.withoutLogins && o.dry:
		c.say("nobody would be logged in, but %s", tokens)
	case o.withoutLogins:
		c.say("nobody is logged in, but %s; what was locked, taken out or changed after %s is as it was before: do it again "+
			"(docs/operations.md, Restoring)", tokens, at)
	case !o.dry:
		c.say("what was revoked, locked or used up after %s is as it was before: end it again, or give the command with --without-logins "+
			"(docs/operations.md, Restoring)", at)
	}
}

// unproven is what is said where a file may be anybody's work.
const unproven = "%w: whoever made it may have put anything into it, a login of their own for instance; --unproven takes it all the same"

// reading opens an export, and refuses one that was sealed with another key than the store's, or with none: at its end at the latest.
func (c *command) reading(path string, p *place, trust bool, use func(*transfer.Reader) error) (err error) {
	from := c.cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it is only read
		from = file
	}
	r, err := transfer.NewReader(bufio.NewReaderSize(from, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c.say("an export of %s, of %s", r.Header.Source, r.Header.MadeAt.Format("2006-01-02 15:04:05 MST"))
	if err := c.checkKey(p, r.Header.Probe); err != nil {
		return err
	}
	if p.sealer != nil && !trust {
		if len(r.Header.Probe) == 0 {
			return fmt.Errorf(unproven, transfer.ErrUnproven)
		}
		r.Sealer = p.sealer
	}
	if err = use(r); errors.Is(err, transfer.ErrUnproven) {
		return fmt.Errorf(unproven, err)
	}
	return err
}

// checkKey compares sealing keys before anything is written.
func (c *command) checkKey(p *place, probe []byte) error {
	switch {
	case len(probe) == 0:
		c.say("the sealing key of the source is not known, so it is not compared: the server will say at its start if it is another one")
		return nil
	case p.sealer == nil:
		return fmt.Errorf("the sealing key of %s is not known: name it in its configuration with seal_key, or here with --seal-key; "+
			"for a Badger store it is in the file beside the folder whose name ends in .key, which may be copied", p)
	}
	if err := transfer.CheckKey(p.sealer, probe); err != nil {
		return fmt.Errorf("%s: %w; name that store's key in seal_key, behind the new one if there is to be one", p, err)
	}
	return nil
}

// fill has a store hold what comes.
func (c *command) fill(db storage.DB, id string, items iter.Seq2[storage.Item, error], o options) (transfer.Result, error) {
	m := c.meter("importing")
	target := c.target(id, o, m)
	target.DB = db
	result, err := target.Take(c.cmd.Context(), items)
	switch {
	case errors.Is(err, transfer.ErrNotEmpty):
		return result, fmt.Errorf("%w: --overwrite takes it all the same, and removes what is in it (--dry-run says how much)", err)
	case errors.Is(err, transfer.ErrChoice) && o.withoutLogins:
		return result, fmt.Errorf("%w: what broke off was given without --without-logins; --overwrite begins anew", err)
	case errors.Is(err, transfer.ErrChoice):
		return result, fmt.Errorf("%w: what broke off was given with --without-logins, and goes on with it only", err)
	case err != nil && !o.dry:
		c.say("it broke off after %d records; the same command goes on from there, and until it is done no server starts on the store",
			result.Source.Items)
		return result, err
	case err != nil:
		return result, err
	}
	if result.Resumed {
		c.say("an earlier attempt was taken up: %d records were there", result.Same)
	}
	m.over(result.Source.Items, result.Source.Bytes)
	return result, nil
}

func migrateCommand(load Load) *cobra.Command {
	var o options
	cmd := o.flags(build(load, "migrate <from> <to>", "Copies one store into another, and compares the two", cobra.ExactArgs(2),
		func(c *command, args []string) error { return c.migrate(args[0], args[1], o) }))
	cmd.Flags().BoolVar(&o.ahead, "ahead", false,
		"copy while the server runs; once it is stopped, the command without --ahead copies what has changed since")
	cmd.Long = cmd.Short + `.

Stores are named as --store names them: a Caddyfile each says everything, the sealing key included. The server is stopped for it,
unless --ahead is given. What was copied is read back and compared, and so is the source, so that nothing which was written
meanwhile is missed. A command that broke off is given again, and goes on.`
	return cmd
}

// errChanged is a source that somebody writes to.
var errChanged = errors.New("the source has changed while it was copied: stop every node that uses it, and give the command again, " +
	"which copies what differs")

func (c *command) migrate(from, to string, o options) error {
	source, err := c.find(from)
	if err != nil {
		return err
	}
	target, err := c.find(to)
	if err != nil {
		return err
	}
	if source.key == target.key {
		return fmt.Errorf("both are %s", source.key)
	}
	probe, err := transfer.Probe(source.sealer)
	if err != nil {
		return err
	}
	if err := errors.Join(c.checkKey(target, probe), c.free(target)); err != nil {
		return err
	}
	if c.held(source) {
		if !o.ahead {
			return fmt.Errorf("%s: %w, or begin with --ahead while it runs", source, errHeld)
		}
		return c.migrateStream(source, target, o)
	}
	return c.migrateHere(source, target, o)
}

// migrateStream copies the store of a running server, which goes on.
func (c *command) migrateStream(source, target *place, o options) error {
	from, err := c.stream()
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it has been read
	r, err := transfer.NewReader(bufio.NewReaderSize(from, 1<<20))
	if err != nil {
		return err
	}
	return c.into(target, func(db storage.DB) (transfer.Result, error) { return c.fill(db, source.key, r.Items(), o) }, o)
}

func (c *command) migrateHere(source, target *place, o options) (err error) {
	ctx := c.cmd.Context()
	db, err := c.open(ctx, source, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return c.into(target, func(to storage.DB) (result transfer.Result, err error) {
		first := o
		first.ahead = true // until the source was compared as well
		err = transfer.Snapshot(ctx, db, func(items iter.Seq2[storage.Item, error]) (err error) {
			result, err = c.fill(to, source.key, items, first)
			return err
		})
		if err != nil || o.dry || o.ahead {
			return result, err
		}
		return result, errors.Join(c.compare(ctx, db, result.Source), ctx.Err())
	}, o)
}

// compare reads the source again.
func (c *command) compare(ctx context.Context, db storage.DB, copied transfer.Totals) error {
	m := c.meter("comparing")
	return transfer.Snapshot(ctx, db, func(items iter.Seq2[storage.Item, error]) error {
		now, err := transfer.Sum(items, func(t transfer.Totals) { m.items(t.Items) })
		if err == nil && now != copied {
			err = errChanged
		}
		return err
	})
}

// into opens the target and has it filled. Without ahead it is taken for whole at the end.
func (c *command) into(target *place, fill func(storage.DB) (transfer.Result, error), o options) error {
	ctx := c.cmd.Context()
	db, err := c.openQuiet(ctx, target)
	if err != nil {
		return err
	}
	result, err := fill(db)
	if err == nil && !o.ahead && !o.dry {
		err = transfer.Finish(ctx, db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if o.ahead && !o.dry {
		c.say("%s is not to be used yet: stop the server, and give the command again without --ahead", target)
	}
	return c.printTaken(Taken{Result: result, DryRun: o.dry})
}

func restoreCommand(load Load) *cobra.Command {
	var o options
	cmd := build(load, "restore <file>", "Puts a backup in the place of a Badger store, which is kept beside it", cobra.ExactArgs(1),
		func(c *command, args []string) error { return c.restore(args[0], o) })
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "read the backup through, say what would be taken of it, and write nothing")
	return o.fileFlags(cmd)
}

func (c *command) restore(path string, o options) error {
	p, err := c.find(c.store)
	if err != nil {
		return err
	}
	badger, ok := p.engine.(*stores.Badger)
	if !ok {
		return fmt.Errorf("%s is no Badger store: use import --overwrite", p)
	}
	if err := c.free(p); err != nil {
		return err
	}
	return c.reading(path, p, o.unproven, func(r *transfer.Reader) error {
		if o.dry {
			target := c.target(r.Header.ID, o, c.meter("reading"))
			result, err := target.Weigh(r.Items())
			if err != nil {
				return err
			}
			c.warn(r, o)
			return c.printTaken(Taken{Result: result, DryRun: true})
		}
		return c.replace(badger, r, o)
	})
}

// target is what is filled, without the store.
func (c *command) target(id string, o options, m *meter) transfer.Target {
	return transfer.Target{
		ID: id, Overwrite: o.overwrite, DryRun: o.dry, Unfinished: o.ahead, LeaveOut: o.leaveOut(), Now: c.now,
		Progress: func(t transfer.Totals) { m.items(t.Items) },
	}
}

func (c *command) replace(badger *stores.Badger, r *transfer.Reader, o options) error {
	var result transfer.Result
	config := badgerstore.Config{Dir: badger.Dir, Now: c.clock, Logger: c.logger, GCEvery: -1, SweepEvery: -1}
	kept := badger.Dir + ".before-" + c.now.Format("20060102T150405.000Z")
	old, err := badgerstore.Replace(c.cmd.Context(), config, kept, func(db storage.DB) (err error) {
		m := c.meter("restoring")
		target := c.target(r.Header.ID, o, m)
		target.DB = db
		if result, err = target.Take(c.cmd.Context(), r.Items()); err == nil {
			m.over(result.Source.Items, result.Source.Bytes)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("restoring: %w; nothing has changed", err)
	}
	c.warn(r, o)
	return c.printTaken(Taken{Result: result, Kept: old})
}
