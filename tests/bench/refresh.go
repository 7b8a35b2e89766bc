// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	refreshClients = 64
	verifier       = "bench-verifier-0123456789-0123456789-0123456789"
	callback       = "http://127.0.0.1/callback"
	password       = "correct-horse-battery"
)

// measureRefresh compares refreshes, each a transaction synced to disk, with what the store reaches for the like.
func measureRefresh(path string, o options) error {
	return with(path, "", func(s *server) error {
		tokens := make([]string, refreshClients)
		for i := range tokens {
			all, err := s.login("app", "bench", net.IPv4(127, 0, 0, 1))
			if err != nil {
				return err
			}
			tokens[i] = all.Refresh
		}
		var ours, raw float64
		for range o.rounds {
			floor, err := storeFloor(s.Dir, o.length)
			if err != nil {
				return err
			}
			rate, err := s.refresh(tokens, o.length)
			if err != nil {
				return err
			}
			ours, raw = max(ours, rate), max(raw, floor)
		}
		fmt.Printf("  %-34s %9.0f a second\n  %-34s %9.0f a second   %.0f %%\n",
			"Badger itself, 64 at once", raw, "refresh with rotation, 64 clients", ours, 100*ours/raw)
		return nil
	})
}

// storeFloor is what Badger itself reaches, with its own options and synchronous writes, for a transaction that reads four
// records and writes one, as a refresh does.
func storeFloor(dir string, length time.Duration) (float64, error) {
	path := filepath.Join(dir, "floor")
	db, err := badger.Open(badger.DefaultOptions(path).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(path) }() // it is temporary anyway
	defer func() { _ = db.Close() }()         // nothing in it matters
	value := []byte(strings.Repeat("x", 400))
	var done atomic.Int64
	deadline := time.Now().Add(length)
	var group sync.WaitGroup
	for i := range refreshClients {
		group.Go(func() {
			for time.Now().Before(deadline) {
				if db.Update(func(tx *badger.Txn) error { return transaction(tx, i, value) }) == nil {
					done.Add(1)
				}
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / length.Seconds(), nil
}

func transaction(tx *badger.Txn, client int, value []byte) error {
	for _, kind := range []string{"family", "grant", "cutoff", "session"} {
		if _, err := tx.Get(fmt.Appendf(nil, "%s/%d", kind, client)); err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
	}
	return tx.Set(fmt.Appendf(nil, "family/%d", client), value)
}

// refresh rotates every client's token again and again, each over a connection of its own.
func (s *server) refresh(tokens []string, length time.Duration) (float64, error) {
	var done atomic.Int64
	deadline := time.Now().Add(length)
	failures := make(chan error, len(tokens))
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() {
			if err := s.refreshOne(&tokens[i], deadline, &done); err != nil {
				failures <- err
			}
		})
	}
	group.Wait()
	close(failures)
	return float64(done.Load()) / length.Seconds(), <-failures
}

func (s *server) refreshOne(token *string, deadline time.Time, done *atomic.Int64) error {
	conn, err := net.Dial("tcp", s.issuer)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been read
	reader := bufio.NewReader(conn)
	for time.Now().Before(deadline) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {*token}, "client_id": {"app"}}
		body, err := ask(conn, reader, post(s.issuer, "/token", "", form.Encode()), http.StatusOK)
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(body), `"refresh_token":"`)
		*token, _, _ = strings.Cut(rest, `"`)
		done.Add(1)
	}
	return nil
}

// tokens are what a client gets for a code.
type tokens struct {
	Client  string `json:"-"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (s *server) exchange(client *http.Client, form url.Values) (answer tokens, err error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+s.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = fetch(client, request, &answer, func() string { return answer.Access })
	return answer, err
}

var hidden = regexp.MustCompile(`name="(req|step)" value="([^"]*)"`)

// visitor is a browser that comes from an address: what one of them may begin is bounded.
type visitor struct {
	*http.Client
	issuer string
}

func (s *server) visitor(from net.IP) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	return &visitor{issuer: "http://" + s.issuer, Client: &http.Client{
		Jar: jar, Transport: &http.Transport{DialContext: dialer.DialContext}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), callback) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}, nil
}

// authorize asks for a code for a client, and returns the answer: a redirect with the code, or the login page.
func (v *visitor) authorize(clientID string) (*http.Response, string, error) {
	ask := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback}, "scope": {"openid read"}, "state": {"s"},
		"code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	response, err := v.Get(v.issuer + "/authorize?" + ask.Encode())
	body, err := read(response, err)
	return response, body, err
}

// answer sends name and password with the fields of a login page, and returns the code.
func (v *visitor) answer(page, user string) (code string, err error) {
	form := url.Values{"username": {user}, "password": {password}}
	for _, field := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(field[1], field[2])
	}
	response, err := v.PostForm(v.issuer+"/login", form)
	body, err := read(response, err)
	if err != nil {
		return "", err
	}
	return codeIn(response, body)
}

// codeIn returns the code of a redirect.
func codeIn(response *http.Response, body string) (string, error) {
	to, err := response.Location()
	if err != nil {
		return "", fmt.Errorf("%s answers %d: %w\n%s", response.Request.URL.Path, response.StatusCode, err, body)
	}
	code := to.Query().Get("code")
	if code == "" {
		return "", fmt.Errorf("no code in %s", to)
	}
	return code, nil
}

// redemption is what a client sends for a code.
func redemption(clientID, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "client_id": {clientID}, "code_verifier": {verifier},
	}
}

// login walks a browser through the code flow and returns what a client gets for somebody.
func (s *server) login(clientID, user string, from net.IP) (none tokens, err error) {
	v, err := s.visitor(from)
	if err != nil {
		return none, err
	}
	defer v.CloseIdleConnections()
	_, page, err := v.authorize(clientID)
	if err != nil {
		return none, err
	}
	code, err := v.answer(page, user)
	if err != nil {
		return none, err
	}
	return s.exchange(http.DefaultClient, redemption(clientID, code))
}
