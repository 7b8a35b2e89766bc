// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

const (
	// gather is how long what this node has committed is collected before the others are told of it all at once.
	gather = 5 * time.Millisecond
	// assure is how often a connection on which nothing comes is asked whether it is still there.
	assure = 15 * time.Second
	// maxApart is how long is waited at most before the next try to connect.
	maxApart = 15 * time.Second
	// maxOthers is of how many senders it is known which notice was their last. Each node is another one when it has started again.
	maxOthers = 1024
	// maxChannel is the length of an identifier of PostgreSQL's.
	maxChannel = 63
)

// news is how a node hears what the others have committed, and tells them what it has: over one connection of its own, outside any
// transaction, since a NOTIFY inside one has all commits of the database wait for each other. What is lost is seen later by whoever looks.
type news struct {
	server  *pgx.ConnConfig
	channel string
	config  *Config
	hub     *storage.Hub
	node    string // which this process is, among the senders

	// Of the goroutine that runs.
	number uint64
	others map[string]uint64 // the last number, by sender

	mu      sync.Mutex // guards what follows
	on      bool       // somebody will send what is to be told
	pending storage.Changes
	ripe    bool // it has been collected for long enough
	rouse   context.CancelFunc
}

func newNews(server *pgx.ConnConfig, channel string, config *Config, hub *storage.Hub) *news {
	return &news{
		server: server, channel: channel, config: config, hub: hub, node: randid.New("node"), others: map[string]uint64{},
		pending: storage.Changes{}, rouse: func() {},
	}
}

// channelOf returns the channel on which the nodes of one schema speak: its name.
func channelOf(schema string) string {
	for len(schema) > maxChannel {
		_, size := utf8.DecodeLastRuneInString(schema)
		schema = schema[:len(schema)-size]
	}
	return schema
}

// tell has the other nodes told, soon. It never waits.
func (n *news) tell(changes storage.Changes) {
	if n == nil || len(changes) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.on {
		return
	}
	if len(n.pending) == 0 {
		time.AfterFunc(gather, n.ripen)
	}
	for table, marks := range changes {
		n.pending.Add(table, marks...)
	}
}

func (n *news) ripen() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ripe = true
	n.rouse()
}

// take returns what is to be told now; nil is nothing.
func (n *news) take() (changes storage.Changes) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ripe {
		return nil
	}
	changes, n.pending, n.ripe = n.pending, storage.Changes{}, false
	return changes
}

// turn switches whether somebody sends what is to be told.
func (n *news) turn(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = on
}

// run hears and tells until ctx ends.
func (n *news) run(ctx context.Context) {
	n.turn(true)
	defer n.turn(false)
	trouble := rounds.Trouble{
		Logger: n.config.Logger, Begins: "what other nodes commit is not heard: it is looked for from time to time",
		Ends: "what other nodes commit is heard again",
	}
	for run := 0; ctx.Err() == nil; run++ {
		err := n.session(ctx, func() {
			run = 0
			trouble.Note(ctx, nil)
		})
		if refuses(err) {
			n.config.Logger.InfoContext(ctx, "this database has no notices: what other nodes commit is looked for from time to time",
				"cause", err.Error())
			return
		}
		trouble.Note(ctx, err)
		_ = contend.Pause(ctx, run+7, maxApart) // which ends with ctx, as the loop does
	}
}

// refuses reports whether a database that speaks the protocol knows no LISTEN.
func refuses(err error) bool {
	return says(err, stateNotSupported, stateSyntax)
}

// session is one connection. What came while there was none is not known, so everybody is told to look.
func (n *news) session(ctx context.Context, up func()) error {
	conn, err := n.connect(ctx)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer n.close(ctx, conn)
	clear(n.others)
	up()
	n.hub.TellAll()
	for {
		if err := n.speak(ctx, conn); err != nil {
			return err
		}
		if err := n.listen(ctx, conn); err != nil {
			return err
		}
	}
}

func (n *news) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, n.server)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{n.channel}.Sanitize()); err != nil {
		n.close(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func (n *news) close(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // there is nothing left to say
}

// listen waits for one notice, or until there is something to tell.
func (n *news) listen(ctx context.Context, conn *pgx.Conn) error {
	wait, cancel := context.WithTimeout(ctx, assure)
	defer cancel()
	n.mu.Lock()
	n.rouse = cancel
	ripe := n.ripe
	n.mu.Unlock()
	if ripe {
		return nil
	}
	heard, err := conn.WaitForNotification(wait)
	switch {
	case err == nil:
		n.hear(heard.Payload)
		return nil
	case wait.Err() == nil || ctx.Err() != nil || conn.IsClosed():
		return fmt.Errorf("waiting for notices: %w", err)
	case errors.Is(wait.Err(), context.DeadlineExceeded):
		return n.exec(ctx, conn, "SELECT 1")
	}
	return nil
}

// hear hands on what somebody has sent. Whoever sends what nobody understands, or not the next after the last, may have sent more.
func (n *news) hear(text string) {
	got, err := parseNotice(text)
	if err != nil {
		n.hub.TellAll()
		return
	}
	if got.sender == n.node {
		return
	}
	last, known := n.others[got.sender]
	if !known && len(n.others) >= maxOthers {
		clear(n.others)
	}
	n.others[got.sender] = got.number
	if known && got.number != last+1 || got.changes == nil {
		n.hub.TellAll()
		return
	}
	n.hub.Tell(got.changes)
}

// speak tells the others what this node has committed. What could not be told is told later.
func (n *news) speak(ctx context.Context, conn *pgx.Conn) error {
	changes := n.take()
	if len(changes) == 0 {
		return nil
	}
	n.number++
	next := notice{sender: n.node, number: n.number, changes: changes}
	err := n.exec(ctx, conn, "SELECT pg_notify($1, $2)", n.channel, next.text())
	if err != nil {
		n.tell(changes)
	}
	return err
}

func (n *news) exec(ctx context.Context, conn *pgx.Conn, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", strings.ToLower(strings.Fields(sql)[1]), err)
	}
	return nil
}
