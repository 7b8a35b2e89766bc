// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// patience is how long a test waits for what has to come.
const patience = time.Minute

// pair is two nodes of one store, of which both watch a table, and a session of somebody else.
type pair struct {
	*testing.T
	name       string
	here, over *pgstore.DB
	watch      *storage.Notices // over there
	session    *pgx.Conn
	log        *lines
	commits    int
}

func newPair(t *testing.T, change func(*pgstore.Config)) *pair {
	t.Helper()
	place := t.TempDir()
	p := &pair{T: t, name: postgres.Schema(place), log: new(lines)}
	node := func(name string) *pgstore.DB {
		db, err := openWith(t, place, storagetest.NewClock().Now, func(c *pgstore.Config) {
			c.DSN += " application_name=" + p.name + name
			c.Logger = slog.New(slog.NewTextHandler(p.log, nil))
			if change != nil {
				change(c)
			}
		})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	p.here, p.over = node("here"), node("over")
	var err error
	p.session, err = pgx.Connect(t.Context(), server.DSN(t))
	must(t, err)
	t.Cleanup(func() { _ = p.session.Close(context.WithoutCancel(t.Context())) })
	return p
}

// begin has both watch, and waits until they hear each other.
func (p *pair) begin() {
	p.Helper()
	p.here.Watch("a")
	p.watch = p.over.Watch("a")
	p.hears()
	p.until("the other listens too", func() bool { return p.listening("here") == 1 })
}

func (p *pair) put(key string) {
	p.Helper()
	must(p, p.here.Update(p.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: key, Value: []byte("1")}) }))
}

// hears commits on one node until the other has heard of some of it, however late that comes.
func (p *pair) hears() {
	p.Helper()
	var put []uint64
	p.until("it is told", func() bool {
		p.commits++
		id := fmt.Sprint(p.commits)
		p.put("a/" + id)
		put = append(put, storage.Mark(id))
		select {
		case <-p.watch.C():
		case <-time.After(50 * time.Millisecond):
		}
		marks, _ := p.watch.Take()
		return slices.ContainsFunc(marks, func(mark uint64) bool { return slices.Contains(put, mark) })
	})
}

// wantAll waits until a watcher is told that it may have missed something.
func (p *pair) wantAll() {
	p.Helper()
	p.until("everybody is told", func() bool {
		_, more := p.watch.Take()
		return more
	})
}

// quiet takes what was told so far: what was sent before has arrived when this returns.
func (p *pair) quiet() {
	p.Helper()
	p.hears()
	p.watch.Take()
}

func (p *pair) until(what string, is func() bool) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			p.Fatalf("waiting until %s\n%s", what, p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// listening returns how many connections of a node's listen.
func (p *pair) listening(node string) (n int) {
	p.Helper()
	must(p, p.session.QueryRow(p.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", p.name+node+" notices").Scan(&n))
	return n
}

func (p *pair) send(text string) {
	p.Helper()
	_, err := p.session.Exec(p.Context(), "SELECT pg_notify($1, $2)", pgstore.ChannelOf(p.name), text)
	must(p, err)
}

// TestAListenerIsCut: what was committed meanwhile may have been missed, so everybody looks, and then all is as before.
func TestAListenerIsCut(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil)
	p.begin()
	for _, node := range []string{"over", "here"} {
		p.quiet()
		_, err := p.session.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", p.name+node+" notices")
		must(t, err)
		p.put("a/while-it-is-cut")
		if node == "over" {
			p.wantAll()
		}
		p.hears()
	}
	p.until("it is logged", func() bool {
		return strings.Contains(p.log.String(), "is not heard") && strings.Contains(p.log.String(), "is heard again")
	})
}

// TestNoticesAreLost: a number that is missing has everybody look, and so has what nobody understands.
func TestNoticesAreLost(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil)
	p.begin()
	for i, sent := range [][]string{
		{"gatehouse1 stranger 1 b", "gatehouse1 stranger 3 b"},
		{"gatehouse1 another 9 b", "gatehouse1 another 9 b"},
		{"gatehouse1 third 9 b", "gatehouse1 third 8 b"},
		{"gatehouse1 fourth 1 *"}, {"nonsense"}, {""}, {strings.Repeat("x", 7999)},
	} {
		p.quiet()
		for _, text := range sent {
			p.send(text)
		}
		if p.wantAll(); p.Failed() {
			t.Fatalf("case %d", i)
		}
	}
	p.quiet()
	p.send("gatehouse1 fifth 41 b")
	p.send("gatehouse1 fifth 42 b")
	p.send("gatehouse1 fifth 43 a=AAAAAAAAAAE")
	p.until("what is in order is told", func() bool {
		marks, more := p.watch.Take()
		if more {
			t.Error("numbers in order have everybody look")
		}
		return more || slices.Contains(marks, 1)
	})
}

// TestManySenders: senders that come without end take no memory without end, and nobody is told of nothing.
func TestManySenders(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil)
	p.begin()
	_, err := p.session.Exec(t.Context(), "SELECT pg_notify($1, 'gatehouse1 s' || i || ' 1 b') FROM generate_series(1, 3000) AS i", pgstore.ChannelOf(p.name))
	must(t, err)
	p.hears()
}

// TestNoNotices: a node that shall not listen has no connection for it, and hears itself alone.
func TestNoNotices(t *testing.T) {
	t.Parallel()
	p := newPair(t, func(c *pgstore.Config) { c.NoNotices = true })
	own := p.here.Watch("a")
	p.watch = p.over.Watch("a")
	p.put("a/1")
	<-own.C()
	if p.listening("here")+p.listening("over") != 0 {
		t.Error("there is a connection to listen on")
	}
	if marks, more := p.watch.Take(); len(marks) != 0 || more {
		t.Errorf("the other heard %v, %t", marks, more)
	}
}

// TestWhoListens: nobody listens before somebody watches, nor after the store is closed.
func TestWhoListens(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil)
	p.put("a/1")
	if p.listening("here") != 0 {
		t.Error("somebody listens for nobody")
	}
	p.begin()
	must(t, p.here.Close())
	p.until("the connection has gone", func() bool { return p.listening("here") == 0 })
	p.here.Watch("a").Stop()
}

// TestLongNames: a schema of any length has a channel.
func TestLongNames(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		"gatehouse": "gatehouse", strings.Repeat("s", 70): strings.Repeat("s", 63), strings.Repeat("\u00f6", 40): strings.Repeat("\u00f6", 31),
	} {
		if got := pgstore.ChannelOf(schema); got != want {
			t.Errorf("%s: %s", schema, got)
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
