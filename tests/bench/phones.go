// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Back ends are several, since the API bounds what one of them may ask in a minute.
const (
	backEnds   = 40
	backSecret = "back-end-secret-0123456789abcdefghijkl"
	phonePIN   = "258046"
)

// phonesCaddyfile is what a server with phones has beside the rest; notified by a push service, if that is not empty.
func phonesCaddyfile(push string) string {
	var text strings.Builder
	ios := "ios com.example.bank"
	if push != "" {
		ios += " {\n push " + push + "\n }"
	}
	text.WriteString("application bank {\n " + ios + "\n version * active\n enrollment {\n confirmation none\n }\n}\n")
	for i := range backEnds {
		fmt.Fprintf(&text, "client back%d {\n secret %s\n grants client_credentials\n"+
			" scopes gatehouse:users gatehouse:devices gatehouse:operations\n access_ttl 1h\n}\n", i, backSecret)
	}
	return text.String()
}

// backEnd is a client of the API.
type backEnd struct {
	base, token string
	http        *http.Client
}

// operation is what a back end reads of one.
type operation struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Number string `json:"number"`
	QR     string `json:"qr"`
}

// api calls the API and decodes the answer.
func (b *backEnd) api(method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		data = nil
	}
	request, err := http.NewRequest(method, b.base+"/api/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+b.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s answers %d: %s", method, path, response.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

// pair is a person: a back end that asks and the phone that answers.
type pair struct {
	*backEnd
	user  string
	phone *device.Device
}

// fleet registers so many people, each with a phone that is notified by a push service, if that is not empty.
func (s *server) fleet(n int, push string) ([]*pair, error) {
	client := &http.Client{Timeout: 2 * time.Minute, Transport: lines{&http.Transport{MaxIdleConnsPerHost: 1024}}}
	backs, err := s.backs(client)
	if err != nil {
		return nil, err
	}
	pairs := make([]*pair, n)
	return pairs, each(len(pairs), 16, func(i int) (err error) {
		pairs[i] = &pair{backEnd: backs[i%backEnds]}
		return pairs[i].enrol(client, i, push)
	})
}

// backs gets every back end its token.
func (s *server) backs(client *http.Client) ([]*backEnd, error) {
	backs := make([]*backEnd, backEnds)
	for i := range backs {
		backs[i] = &backEnd{base: "http://" + s.issuer, http: client}
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {fmt.Sprintf("back%d", i)}, "client_secret": {backSecret},
			"scope": {"gatehouse:users gatehouse:devices gatehouse:operations"},
		}
		request, err := http.NewRequest(http.MethodPost, backs[i].base+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := fetch(client, request, &answer, func() string { return answer.Token }); err != nil {
			return nil, err
		}
		backs[i].token = answer.Token
	}
	return backs, nil
}

// each calls do for 0 to n-1, so many at once, and returns an error of those there were.
func each(n, atOnce int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// person is the login of a person.
func person(n int) string { return fmt.Sprintf("person%d@example.com", n) }

func (p *pair) enrol(client *http.Client, n int, push string) error {
	var user operation
	if err := p.api(http.MethodPost, "users", map[string]any{"logins": []string{person(n)}}, &user); err != nil {
		return err
	}
	var begun operation
	err := p.api(http.MethodPost, "operations/registration", map[string]any{"user_id": user.ID, "application": "bank"}, &begun)
	if err != nil {
		return err
	}
	invitation, err := envelope.ParseInvitation(begun.QR)
	if err != nil {
		return err
	}
	store := new(device.SoftStore)
	p.user = user.ID
	var address *envelope.PushAddress
	if push != "" {
		address = &envelope.PushAddress{Service: push, Address: fmt.Sprintf("%064x", n)}
	}
	// The work of sealing a PIN is the phone's, and would be most of what this process does.
	p.phone, err = device.Enrol(context.Background(), device.Config{
		Client: client, Keystore: store, Vault: store, Now: time.Now, KDF: device.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, device.State) error { return nil },
	}, device.Enrolment{Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: phonePIN, Push: address})
	return err
}

func (p *pair) start() (o operation, err error) {
	err = p.api(http.MethodPost, "operations/authorisation", map[string]any{
		"user_id": p.user, "context": map[string]any{"title": "Pay Bob", "content": "10.00 EUR for the boat"},
	}, &o)
	return o, err
}

// approve fetches and approves, and returns when the approval was sent.
func (p *pair) approve(o operation) (sent time.Time, err error) {
	q, err := p.phone.Fetch(context.Background(), o.ID)
	if err != nil {
		return sent, err
	}
	sent = time.Now()
	return sent, p.phone.Approve(context.Background(), q, device.Approval{Proof: device.Proof{PIN: phonePIN}, Number: o.Number})
}

// status asks for an operation, and waits for its end where the path says so.
func (p *pair) status(o operation, query string) error {
	var now operation
	if err := p.api(http.MethodGet, "operations/"+o.ID+query, nil, &now); err != nil {
		return err
	}
	if now.State != "approved" {
		return fmt.Errorf("operation %s is %s", o.ID, now.State)
	}
	return nil
}

// complete is one operation from its start to its status.
func (p *pair) complete() error {
	o, err := p.start()
	if err != nil {
		return err
	}
	if _, err := p.approve(o); err != nil {
		return err
	}
	return p.status(o, "")
}

// measurePhones asks simulated phones, which live in this process, by way of a server in its own.
func measurePhones(path string, o options) error {
	return with(path, phonesCaddyfile(""), func(s *server) error {
		began := time.Now()
		pairs, err := s.fleet(o.phones, "")
		if err != nil {
			return fmt.Errorf("registering phones: %w", err)
		}
		fmt.Printf("  %d registrations, 16 at once: %.0f a second · load of the machine %s\n",
			len(pairs), float64(len(pairs))/time.Since(began).Seconds(), machineLoad())
		if err := s.operations(o, pairs); err != nil {
			return err
		}
		if err := latency(o, pairs); err != nil {
			return err
		}
		return s.waiting(o, pairs)
	})
}

// operations has phones answer one question after another, each as fast as it can.
func (s *server) operations(o options, pairs []*pair) error {
	var rates []float64
	var cost time.Duration
	for range o.rounds {
		before, err := s.cpu()
		if err != nil {
			return err
		}
		began := time.Now()
		deadline := began.Add(o.length)
		var done atomic.Int64
		err = s.profiled(o, "operations", func() error {
			return each(len(pairs), len(pairs), func(i int) error {
				for time.Now().Before(deadline) {
					if err := pairs[i].complete(); err != nil {
						return err
					}
					done.Add(1)
				}
				return nil
			})
		})
		took := time.Since(began)
		after, cpuErr := s.cpu()
		if err := errors.Join(err, cpuErr); err != nil {
			return err
		}
		rates = append(rates, float64(done.Load())/took.Seconds())
		cost = (after - before) / time.Duration(max(done.Load(), 1))
	}
	slices.Sort(rates)
	fmt.Printf("  start, fetch, approve (PIN, number, receipt), status; %d phones: median %.0f, best %.0f operations/s · "+
		"%.2f ms CPU of the server each · load of the machine %s\n",
		len(pairs), rates[len(rates)/2], rates[len(rates)-1], float64(cost)/float64(time.Millisecond), machineLoad())
	return nil
}

// latency starts operations at a steady rate, each with a status call that waits, and measures from the sending of the approval to
// the answer of that call.
func latency(o options, pairs []*pair) error {
	const rate = 100
	n := int(o.length.Seconds()*rate) * o.rounds
	found := make([]time.Duration, n)
	var group errgroup.Group
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for i := range n {
		<-ticker.C
		group.Go(func() (err error) {
			found[i], err = pairs[i%len(pairs)].await()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(found)
	fmt.Printf("  approve → waiting status call, %d a second, %d operations: p50 %.1f ms, p99 %.1f ms, most %.1f ms · load of the machine %s\n",
		rate, n, ms(found[n/2]), ms(found[n*99/100]), ms(found[n-1]), machineLoad())
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (p *pair) await() (time.Duration, error) {
	o, err := p.start()
	if err != nil {
		return 0, err
	}
	var answered time.Time
	var failed error
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		failed = p.status(o, "?wait=60")
		answered = time.Now()
	}()
	sent, err := p.approve(o)
	<-waiting
	return answered.Sub(sent), errors.Join(err, failed)
}

// machineLoad is how much else the machine does, which figures of elapsed time depend on.
func machineLoad() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(data), " ")
	return load
}
