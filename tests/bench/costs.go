// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

const (
	// costPeople are people who do each thing once, and costFirst those who do it right after a checkpoint.
	costPeople, costFirst = 100, 12
	// settled is how long after a request everything has been done that it gives cause for: its audit events are sealed in a second.
	settled = 2500 * time.Millisecond
	// idling is how long a server is looked at that is asked nothing.
	idling = 15 * time.Second
)

// counted are settings of a database of which everything is counted: without what it does by itself, and without images of pages, which are
// measured by themselves.
var counted = []string{"fsync=on", "synchronous_commit=on", "shared_buffers=256MB", "max_wal_size=4GB", "max_connections=100"}

// customer is somebody who does everything that is measured, once.
type customer struct {
	*pair
	*server
	visitor *visitor
	page    string
	codes   []string // for the first app, and for the second
	held    []tokens
	asked   operation
}

// measured are the kinds of requests in the order in which each has what it needs. What is done before is not measured.
var measured = []struct {
	kind   plan.Kind
	before func(*customer) error
	do     func(c *customer, n int) error
}{
	{plan.Register, nil, (*customer).register},
	{plan.LoginPage, (*customer).setPassword, func(c *customer, _ int) (err error) {
		_, c.page, err = c.visitor.authorize(appName(0))
		return err
	}},
	{plan.Login, nil, func(c *customer, n int) error {
		code, err := c.visitor.answer(c.page, person(n))
		c.codes = append(c.codes, code)
		return err
	}},
	{plan.Exchange, nil, func(c *customer, _ int) error { return c.redeem(0) }},
	{plan.SignOn, nil, func(c *customer, _ int) error {
		response, body, err := c.visitor.authorize(appName(1))
		if err != nil {
			return err
		}
		code, err := codeIn(response, body)
		c.codes = append(c.codes, code)
		return err
	}},
	{plan.Refresh, func(c *customer) error { return c.redeem(1) }, (*customer).refresh},
	{plan.Introspect, nil, func(c *customer, _ int) error {
		return c.post("/introspect", url.Values{"token": {c.held[0].Access}}, machine)
	}},
	{plan.Call, nil, func(c *customer, _ int) error { return c.send(c.gate, get(c.gate, c.held[0].Access)) }},
	{plan.Mint, nil, func(c *customer, _ int) error {
		return c.post("/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, machine)
	}},
	{plan.Ask, nil, func(c *customer, _ int) (err error) {
		c.asked, err = c.start()
		return err
	}},
	{plan.Answer, nil, func(c *customer, _ int) error {
		_, err := c.approve(c.asked)
		return err
	}},
	{plan.Revoke, nil, func(c *customer, _ int) error {
		return c.post("/revoke", url.Values{"token": {c.held[1].Refresh}, "client_id": {c.held[1].Client}}, "")
	}},
}

func (c *customer) register(n int) error {
	if err := c.enrol(http.DefaultClient, n, ""); err != nil {
		return err
	}
	visitor, err := c.server.visitor(net.IPv4(127, 0, 1, byte(1+n%250)))
	c.visitor = visitor
	return err
}

func (c *customer) setPassword() error {
	return c.api(http.MethodPost, "users/"+c.user+"/password", map[string]any{"password": password}, new(operation))
}

func (c *customer) redeem(i int) error {
	t, err := c.exchange(http.DefaultClient, redemption(appName(i), c.codes[i]))
	t.Client = appName(i)
	c.held = append(c.held, t)
	return err
}

func (c *customer) refresh(int) error {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.held[0].Refresh}, "client_id": {c.held[0].Client}}
	t, err := c.exchange(http.DefaultClient, form)
	c.held[0].Access, c.held[0].Refresh = t.Access, t.Refresh
	return err
}

func (c *customer) post(path string, form url.Values, basic string) error {
	return c.send(c.issuer, post(c.issuer, path, basic, form.Encode()))
}

// send sends a request over a connection of its own.
func (c *customer) send(address string, request []byte) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been read
	_, err = ask(conn, bufio.NewReader(conn), request, http.StatusOK)
	return err
}

// measureCosts finds out what a request costs PostgreSQL, and writes it down for the arithmetic of sizes.
func measureCosts(path string, o options) error {
	found := plan.Costs{
		Source: "go run ./tests/bench -only costs", Machine: fmt.Sprintf("%d processors, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH),
		Records: o.records, Requests: map[plan.Kind]plan.Cost{}, Rows: map[string]plan.Row{},
	}
	err := metered(path, o, counted, func(m *meter, backs []*backEnd) error { return m.everything(backs, &found) })
	if err != nil {
		return err
	}
	images := append(slices.Clone(counted), "full_page_writes=on")
	err = metered(path, o, images, func(m *meter, backs []*backEnd) error {
		return m.first(make([]*customer, costFirst), backs, found.Requests)
	})
	if err != nil {
		return err
	}
	if err := ofMany(path, o, found.Requests); err != nil {
		return fmt.Errorf("processors: %w", err)
	}
	if found.View, err = ofView(); err != nil {
		return err
	}
	printCosts(found)
	if o.costs == "" {
		return nil
	}
	text, err := json.MarshalIndent(found, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(o.costs, append(text, '\n'), 0o644) //nolint:gosec // everybody may read it
}

// ofMany finds out what requests cost a node's processors while many ask at once. Asked now and then a node spends more on waking up.
func ofMany(path string, o options, found map[plan.Kind]plan.Cost) (err error) {
	database, err := postgres.Open(durable...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	if err := fillDatabase(path, database, o.records); err != nil {
		return err
	}
	c, stop, err := contest(path, inPostgres(database.DSN("postgres", postgres.User), storeClients))
	if err != nil {
		return err
	}
	defer stop()
	c.collisions = func() int { return 0 } // the processors' work on them is in the rest
	if err := c.round(o); err != nil {
		return err
	}
	for _, step := range kinds {
		cost := found[step.kind]
		cost.CPU = ms(c.found[step.name][0].cpu)
		found[step.kind] = cost
	}
	login := found[plan.Login] // which was measured with what comes before and after
	login.CPU = max(0, login.CPU-found[plan.LoginPage].CPU-found[plan.Exchange].CPU)
	found[plan.Login] = login
	return nil
}

// metered has a meter between a server and a database with some settings.
func metered(path string, o options, settings []string, do func(*meter, []*backEnd) error) (err error) {
	database, err := postgres.Open(settings...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	if err := fillDatabase(path, database, o.records); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	w, err := newWire(strings.TrimPrefix(strings.Fields(database.DSN("postgres", postgres.User))[0], "host="))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	extra := phonesCaddyfile("") + "realm password {\n authenticator form\n login_module identity_store\n max_age 8h\n audit\n}\n"
	for i := range 2 {
		extra += fmt.Sprintf("client %s {\n redirect_uri %s\n grants authorization_code refresh_token\n scopes openid read\n first_party\n}\n", appName(i), callback)
	}
	s, err := startOn(inPostgres(w.dsn(), 8), path, dir, extra, "")
	if err != nil {
		return err
	}
	defer s.stop()
	backs, err := s.backs(http.DefaultClient)
	if err != nil {
		return err
	}
	return do(&meter{server: s, wire: w, database: database}, backs)
}

// everything measures a second of nothing, one request of each kind, and what the database does at most.
func (m *meter) everything(backs []*backEnd, found *plan.Costs) error {
	err := connected(m.database, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE EXTENSION pg_walinspect")
		return errors.Join(err, conn.QueryRow(ctx, "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)").Scan(&found.Database))
	})
	if err != nil {
		return err
	}
	warm := make([]*customer, 3) // everything was done once
	if _, err := m.all(warm, backs, 0, plan.Cost{}, nil); err != nil {
		return err
	}
	if found.Idle, err = m.idle(); err != nil {
		return err
	}
	if found.Requests, err = m.all(make([]*customer, costPeople), backs, len(warm), found.Idle, found.Rows); err != nil {
		return err
	}
	if found.Engine, err = ofEngine(m.database); err != nil {
		return fmt.Errorf("what the database does at most: %w", err)
	}
	return nil
}

// idle measures a second of a server that is asked nothing.
func (m *meter) idle() (plan.Cost, error) {
	<-time.After(settled)
	c, took, _, err := m.during(func() error {
		<-time.After(idling)
		return nil
	}, 0)
	cpu := c.CPU / idling.Seconds()
	c = less(c, plan.Cost{}, 0, took.Seconds())
	c.CPU = cpu
	return c, err
}

// during measures something, and a while after it. Of the processor it is that alone: the meter reads from the server too. There is what
// the meter showed behind it.
func (m *meter) during(do func() error, after time.Duration) (c plan.Cost, took time.Duration, there reading, err error) {
	before, err := m.read()
	if err != nil {
		return c, 0, there, err
	}
	began, err := m.ran()
	if err != nil {
		return c, 0, there, err
	}
	if err := do(); err != nil {
		return c, 0, there, err
	}
	ended, err := m.ran()
	if err != nil {
		return c, 0, there, err
	}
	<-time.After(after)
	if there, err = m.read(); err != nil {
		return c, 0, there, err
	}
	c, took, err = m.between(before, there)
	c.CPU = ms(ended - began)
	return c, took, there, err
}

// all has everybody do everything, one after the other, and returns what it cost.
func (m *meter) all(people []*customer, backs []*backEnd, from int, idle plan.Cost, rows map[string]plan.Row) (map[plan.Kind]plan.Cost, error) {
	for i := range people {
		people[i] = &customer{pair: &pair{backEnd: backs[i%len(backs)]}, server: m.server}
	}
	found := map[plan.Kind]plan.Cost{}
	for _, step := range measured {
		if err := prepare(people, step.before); err != nil {
			return nil, fmt.Errorf("before %s: %w", step.kind, err)
		}
		<-time.After(settled)
		c, took, there, err := m.during(func() error {
			for i, c := range people {
				if err := step.do(c, from+i); err != nil {
					return err
				}
			}
			return nil
		}, settled)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.kind, err)
		}
		n := float64(len(people))
		each := less(c, idle, took.Seconds(), n)
		each.CPU = c.CPU / n
		found[step.kind] = each
		for kind, n := range there.counts {
			if rows != nil {
				rows[kind] = plan.Row{Bytes: there.kept[kind].Bytes / n, Key: there.kept[kind].Key / n}
			}
		}
	}
	return found, nil
}

// prepare has everybody do what comes before.
func prepare(people []*customer, before func(*customer) error) error {
	if before == nil {
		return nil
	}
	err := each(len(people), 4, func(i int) error { return before(people[i]) })
	<-time.After(time.Second) // a token is from before the password if it is of the same second
	return err
}

// first measures requests each of which is the first after a checkpoint.
func (m *meter) first(people []*customer, backs []*backEnd, found map[plan.Kind]plan.Cost) error {
	for i := range people {
		people[i] = &customer{pair: &pair{backEnd: backs[i%len(backs)]}, server: m.server}
	}
	for _, step := range measured {
		if err := prepare(people, step.before); err != nil {
			return fmt.Errorf("before %s: %w", step.kind, err)
		}
		sum := 0.0
		for i, c := range people {
			wal, err := m.afterCheckpoint(func() error { return step.do(c, i) })
			if err != nil {
				return fmt.Errorf("%s: %w", step.kind, err)
			}
			sum += wal
		}
		c := found[step.kind]
		c.WALFirst = max(c.WAL, sum/float64(len(people)))
		found[step.kind] = c
	}
	return nil
}

// afterCheckpoint returns the bytes of the write-ahead log that come of something right after a checkpoint.
func (m *meter) afterCheckpoint(do func() error) (wal float64, err error) {
	return wal, connected(m.database, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
			return err
		}
		var lsn string
		if err := conn.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&lsn); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		return conn.QueryRow(ctx, "SELECT (pg_current_wal_flush_lsn() - $1::pg_lsn)::float8", lsn).Scan(&wal)
	})
}

func printCosts(c plan.Costs) {
	fmt.Printf("  %s, %s, %d records of others\n", c.Database, c.Machine, c.Records)
	fmt.Printf("  %-36s %6s %6s %6s %8s %8s %8s %8s %7s %7s %6s %7s %7s %7s\n", "of one", "trips", "writes", "reads", "sent", "received", "WAL", "first",
		"inserts", "updates", "(hot)", "entries", "grown", "CPU ms")
	show := func(name string, c plan.Cost) {
		fmt.Printf("  %-36s %6.1f %6.1f %6.1f %8.0f %8.0f %8.0f %8.0f %7.1f %7.1f %6.1f %7.1f %7.0f %7.2f  %v\n", name, c.Trips, c.Updates, c.Views,
			c.Sent, c.Received, c.WAL, c.WALFirst, c.Inserted, c.Updated, c.Hot, c.Entries, c.Grown, c.CPU, c.Kept)
	}
	for _, kind := range plan.Kinds {
		show(string(kind), c.Requests[kind])
	}
	show("second of an idle node", c.Idle)
	fmt.Printf("  the database at most: %+v\n  the view: %+v\n  load of the machine %s\n", c.Engine, c.View, machineLoad())
}
