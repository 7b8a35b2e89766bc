// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

const (
	// storeClients is how many clients ask at once.
	storeClients = 32
	// storeApps are so many that a person who goes from one to the next holds few grants of each, as people do.
	storeApps = 60
	// storeCodes is how many codes a client fetches in a round at most: one lives a minute.
	storeCodes = 150
	// fromOne is how many logins may begin at one address at once.
	fromOne = 100
)

// durable are settings of a PostgreSQL that keeps what it has acknowledged, as one in use has them.
var durable = []string{
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "autovacuum=on", "shared_buffers=256MB", "max_wal_size=4GB",
	"max_connections=100",
}

// sealing is a sealing key, for a server whose store has no folder to keep one beside.
const sealing = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// inPostgres is a store in a database, with so many connections.
func inPostgres(dsn string, connections int) keeping {
	return keeping{
		options: fmt.Sprintf("storage postgres {env.GATEHOUSE_DSN} {\n connections %d\n}\n seal_key {env.GATEHOUSE_SEAL_KEY}", connections),
		env:     []string{"GATEHOUSE_DSN=" + dsn, "GATEHOUSE_SEAL_KEY=" + sealing},
	}
}

// contestant is a server with one of the stores, and those who ask it.
type contestant struct {
	*server
	people []*regular
	found  map[string][]speed
	// collisions is how many transactions of its database have collided so far.
	collisions func() int
}

// regular is somebody who goes from app to app in one browser, and comes from several addresses.
type regular struct {
	*server
	name     string
	number   int
	visitors []*visitor
	conn     net.Conn
	reader   *bufio.Reader
	asked    int // for codes
	codes    []string
	held     []tokens
	spent    int // of the held
}

// speed is what one measurement of one kind of request found.
type speed struct {
	rate     float64
	p50, p99 time.Duration
	cpu      time.Duration // of the server, for each
	stolen   float64       // of all processors, by other guests of the host
	lost     float64       // transactions that collided and ran again, for each
}

// kinds are what is measured, in an order in which each has what it needs. A step reports whether there is more to do.
var kinds = []struct {
	name string
	kind plan.Kind // of which it is the most
	step func(*regular) (more bool, err error)
}{
	{"login, with its code exchange", plan.Login, (*regular).logIn},
	{"authorization of one logged in", plan.SignOn, (*regular).fetchCode},
	{"code exchange", plan.Exchange, (*regular).redeem},
	{"refresh", plan.Refresh, (*regular).renew},
	{"introspection", plan.Introspect, (*regular).introspect},
	{"protected request", plan.Call, (*regular).call},
	{"revocation", plan.Revoke, (*regular).revoke},
}

// measureStores compares the embedded store with PostgreSQL on the same machine, in turn.
func measureStores(path string, o options) (err error) {
	database, err := postgres.Open(durable...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	if err := fillDatabase(path, database, o.records); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	names := []string{"Badger", "PostgreSQL"}
	all := make([]*contestant, len(names))
	for i, where := range []keeping{embedded, inPostgres(database.DSN("postgres", postgres.User), storeClients)} {
		c, stop, err := contest(path, where)
		if err != nil {
			return err
		}
		defer stop()
		all[i] = c
	}
	all[0].collisions = func() int { return 0 } // there nobody counts them
	all[1].collisions = func() int { return strings.Count(database.Log(), "could not serialize") }
	for range o.rounds {
		for _, c := range all {
			if err := c.round(o); err != nil {
				return err
			}
		}
	}
	printStores(o, names, all)
	return nil
}

// contest starts a server, and logs everybody in.
func contest(path string, where keeping) (c *contestant, stop func(), err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return nil, nil, err
	}
	var extra strings.Builder
	for i := range storeApps {
		fmt.Fprintf(&extra, "client %s {\n redirect_uri %s\n grants authorization_code refresh_token\n scopes openid read\n first_party\n}\n",
			storeApp(i), callback)
	}
	for i := range storeClients {
		fmt.Fprintf(&extra, "user %s {\n password %s\n}\n", person(i), password)
	}
	s, err := startOn(where, path, dir, extra.String(), "")
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() {
		s.stop()
		_ = os.RemoveAll(dir) // it is temporary anyway
	}
	c = &contestant{server: s, people: make([]*regular, storeClients), found: map[string][]speed{}}
	err = each(storeClients, 4, func(i int) (err error) {
		c.people[i], err = s.regular(i)
		return err
	})
	if err != nil {
		stop()
	}
	return c, stop, err
}

func storeApp(i int) string { return fmt.Sprint("store", i%storeApps) }

// regular makes one of them, with as many addresses as all rounds may take.
func (s *server) regular(i int) (*regular, error) {
	r := &regular{server: s, name: person(i), number: i}
	for n := range 200 {
		v, err := s.visitor(net.IPv4(127, 0, byte(1+i), byte(1+n)))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			v.Jar = r.visitors[0].Jar
		}
		r.visitors = append(r.visitors, v)
	}
	_, page, err := r.visitors[0].authorize("app")
	if err == nil {
		_, err = r.visitors[0].answer(page, r.name)
	}
	return r, err
}

// browser returns the browser of the regular at an address that has been used less than others.
func (r *regular) browser() *visitor {
	r.asked++
	return r.visitors[r.asked/fromOne%len(r.visitors)]
}

// logIn begins anew in a browser that knows nobody.
func (r *regular) logIn() (bool, error) {
	at := r.browser()
	v, err := r.visitor(net.IPv4(127, 0, byte(1+r.number), 1))
	if err != nil {
		return false, err
	}
	v.Transport = at.Transport
	app := storeApp(r.asked)
	_, page, err := v.authorize(app)
	if err != nil {
		return false, err
	}
	code, err := v.answer(page, r.name)
	if err != nil {
		return false, err
	}
	_, err = r.ask("/token", redemption(app, code), "", http.StatusOK)
	return true, err
}

// fetchCode has the person, who is logged in, go to the next app.
func (r *regular) fetchCode() (bool, error) {
	if len(r.codes) >= storeCodes {
		return false, nil
	}
	app := storeApp(r.asked)
	response, body, err := r.browser().authorize(app)
	if err != nil {
		return false, err
	}
	code, err := codeIn(response, body)
	r.codes = append(r.codes, app+" "+code)
	return true, err
}

// redeem exchanges the next code.
func (r *regular) redeem() (bool, error) {
	if len(r.codes) == 0 {
		return false, nil
	}
	app, code, _ := strings.Cut(r.codes[0], " ")
	r.codes = r.codes[1:]
	body, err := r.ask("/token", redemption(app, code), "", http.StatusOK)
	r.held = append(r.held, tokens{Client: app, Access: member(body, "access_token"), Refresh: member(body, "refresh_token")})
	return true, err
}

// next returns those of the tokens that are held which were not looked at for longest.
func (r *regular) next() *tokens {
	r.spent++
	return &r.held[r.spent%len(r.held)]
}

// renew rotates a refresh token.
func (r *regular) renew() (bool, error) {
	t := r.next()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {t.Refresh}, "client_id": {t.Client}}
	body, err := r.ask("/token", form, "", http.StatusOK)
	t.Access, t.Refresh = member(body, "access_token"), member(body, "refresh_token")
	return true, err
}

func (r *regular) introspect() (bool, error) {
	_, err := r.ask("/introspect", url.Values{"token": {r.next().Access}}, machine, http.StatusOK)
	return true, err
}

// call asks the gate, which counts its answer as one of the issuer's: both are one process.
func (r *regular) call() (bool, error) {
	return true, r.send(r.gate, get(r.gate, r.next().Access))
}

// revoke revokes a refresh token, and with it the grant.
func (r *regular) revoke() (bool, error) {
	if len(r.held) == 0 {
		return false, nil
	}
	t := r.held[0]
	r.held = r.held[1:]
	_, err := r.ask("/revoke", url.Values{"token": {t.Refresh}, "client_id": {t.Client}}, "", http.StatusOK)
	return true, err
}

// member returns a member of an answer that is a string without escapes, as tokens are.
func member(body []byte, name string) string {
	_, rest, _ := strings.Cut(string(body), `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// ask sends a form to the issuer over a connection that is kept open.
func (r *regular) ask(path string, form url.Values, basic string, status int) ([]byte, error) {
	if err := r.connect(r.issuer); err != nil {
		return nil, err
	}
	return ask(r.conn, r.reader, post(r.issuer, path, basic, form.Encode()), status)
}

func (r *regular) send(address string, request []byte) error {
	if err := r.connect(address); err != nil {
		return err
	}
	_, err := ask(r.conn, r.reader, request, http.StatusOK)
	return err
}

// connect keeps a connection to an address, and leaves the one to another.
func (r *regular) connect(address string) (err error) {
	if r.conn != nil && r.conn.RemoteAddr().String() == address {
		return nil
	}
	r.hangUp()
	if r.conn, err = net.Dial("tcp", address); err == nil {
		r.reader = bufio.NewReader(r.conn)
	}
	return err
}

func (r *regular) hangUp() {
	if r.conn != nil {
		_ = r.conn.Close() // everything has been read
	}
	r.conn = nil
}

// round measures every kind of request once.
func (c *contestant) round(o options) error {
	for _, kind := range kinds {
		for _, r := range c.people {
			r.hangUp() // what was idle may have been closed
		}
		f, err := c.pace(o.length, kind.step)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		c.found[kind.name] = append(c.found[kind.name], f)
	}
	for _, r := range c.people {
		r.codes, r.held, r.spent = nil, nil, 0
	}
	return nil
}

// pace has everybody do one thing again and again.
func (c *contestant) pace(length time.Duration, step func(*regular) (bool, error)) (f speed, err error) {
	before, err := c.cpu()
	if err != nil {
		return f, err
	}
	stolen, all, err := stolenTime()
	if err != nil {
		return f, err
	}
	lost := c.collisions()
	began := time.Now()
	took := make([][]time.Duration, len(c.people))
	failures := make([]error, len(c.people))
	var group sync.WaitGroup
	for i, r := range c.people {
		group.Go(func() {
			for more := true; more && failures[i] == nil && time.Since(began) < length; {
				at := time.Now()
				more, failures[i] = step(r)
				if more {
					took[i] = append(took[i], time.Since(at))
				}
			}
		})
	}
	group.Wait()
	elapsed := time.Since(began)
	after, err := c.cpu()
	if err := errors.Join(append(failures, err)...); err != nil {
		return f, err
	}
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	f = speed{rate: float64(len(sorted)) / elapsed.Seconds(), p50: part(sorted, 50), p99: part(sorted, 99)}
	f.cpu = (after - before) / time.Duration(max(len(sorted), 1))
	f.lost = float64(c.collisions()-lost) / float64(max(len(sorted), 1))
	stolenAfter, allAfter, err := stolenTime()
	f.stolen = float64(stolenAfter-stolen) / float64(max(allAfter-all, 1))
	return f, err
}

// typical is the measurement with the median rate.
func typical(found []speed) speed {
	sorted := slices.SortedFunc(slices.Values(found), func(a, b speed) int { return int(a.rate - b.rate) })
	return sorted[len(sorted)/2]
}

func printStores(o options, names []string, all []*contestant) {
	fmt.Printf("  %d clients, %d rounds of %v in turn, the one with the median rate; PostgreSQL on the same machine, fsync and synchronous_commit on,\n"+
		"  with %d records of others\n", storeClients, o.rounds, o.length, o.records)
	fmt.Printf("  %-32s", "")
	for _, name := range names {
		fmt.Printf(" │ %-10s req/s  p50 ms  p99 ms  CPU ms", name)
	}
	fmt.Printf(" │ run again │ stolen\n")
	for _, kind := range kinds {
		fmt.Printf("  %-32s", kind.name)
		stolen, lost := 0.0, 0.0
		for _, c := range all {
			f := typical(c.found[kind.name])
			fmt.Printf(" │ %16.0f %7.1f %7.1f %7.2f", f.rate, ms(f.p50), ms(f.p99), ms(f.cpu))
			stolen, lost = max(stolen, f.stolen), max(lost, f.lost)
		}
		fmt.Printf(" │ %9.2f │ %4.0f %%\n", lost, 100*stolen)
	}
	fmt.Printf("  load of the machine %s\n", machineLoad())
}
