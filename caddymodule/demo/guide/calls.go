// SPDX-License-Identifier: Apache-2.0

package guide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/demo/wire"
)

// told is what the page is told: the exchanges, and what it needs of their results.
type told struct {
	Exchanges []wire.Exchange `json:"exchanges"`
	// Problem says what was wrong, in words; the rest is missing then.
	Problem string `json:"problem,omitempty"`
	// Phones are the names of those that answer for the person.
	Phones []string `json:"phones,omitempty"`
	// Operation and Invitation are those of a registration that began. Whoever has the invitation can register a phone.
	Operation  string `json:"operation,omitempty"`
	Invitation string `json:"invitation,omitempty"`
	// Confirmed is whether the digits were the phone's.
	Confirmed bool `json:"confirmed,omitempty"`
	// Receipt is what was signed: a JWS in compact form.
	Receipt string `json:"receipt,omitempty"`
}

// errOther is an operation that is not the person's, or none.
var errOther = errors.New("there is no such operation of yours")

// errDigits is a request of the page that brings no digits.
var errDigits = errors.New("want the six digits")

// errUnreached is an issuer that does not answer.
var errUnreached = errors.New("the authorization server was not reached")

// longest is how much the page shows of a body, in characters: all that the API answers to what is called here.
const longest = 16 << 10

// maxBody bounds what is read of the page's requests, in bytes.
const maxBody = 4 << 10

// personal answers for the person whom protect has let in. What it says to the issuer is in the answer, also when it went wrong.
func (g *Guide) personal(do func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		replace, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if replace == nil {
			replace = caddy.NewEmptyReplacer()
		}
		user, known := replace.GetString("http.auth.user.id") // protect has set it: no client can
		c := &call{guide: g, request: r, user: user, told: told{Exchanges: []wire.Exchange{}}}
		status := http.StatusUnauthorized
		if known && user != "" {
			status = c.done(do(c))
		} else {
			c.told.Problem = "log in first"
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(c.told) // a reader who is gone is not told
	}
}

// done notes what went wrong, and returns the status that says so.
func (c *call) done(err error) (status int) {
	if err == nil {
		return http.StatusOK
	}
	c.told.Problem = err.Error()
	switch {
	case errors.Is(err, errDigits):
		return http.StatusBadRequest
	case errors.Is(err, errOther):
		return http.StatusNotFound
	}
	return http.StatusBadGateway
}

// call is one request of the page.
type call struct {
	guide   *Guide
	request *http.Request
	user    string
	told    told
}

// party is who calls the API for back ends.
type party struct {
	name string
	Client
}

func (g *Guide) backEnd() party { return party{"back end", g.BackEnd} }

func (g *Guide) auditor() party { return party{"auditor", g.Auditor} }

// api calls the API for back ends. What the answer refuses is an error in its own words.
func (c *call) api(by party, method, path string, body, result any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(c.request.Context(), method, c.guide.Issuer+"/api/v1"+path, sent)
	if err != nil {
		return err
	}
	r.SetBasicAuth(url.QueryEscape(by.ID), url.QueryEscape(by.Secret))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{
		Timeout: patience,
		Transport: &wire.Wire{
			Party: by.name, Base: c.guide.base, Longest: longest, Show: func(e wire.Exchange) { c.told.Exchanges = append(c.told.Exchanges, e) },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		return errUnreached
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	data, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return errUnreached
	case response.StatusCode == http.StatusNotFound:
		return errOther
	case response.StatusCode >= http.StatusMultipleChoices:
		var problem struct{ Title, Detail string }
		_ = json.Unmarshal(data, &problem) // what has no words is told by its status
		return fmt.Errorf("%s: %s %s", response.Status, problem.Title, problem.Detail)
	}
	return json.Unmarshal(data, result)
}

// phones names those of the person.
func (g *Guide) phones(c *call) error {
	var found struct {
		Devices []struct{ Name, Status string } `json:"devices"`
	}
	if err := c.api(g.backEnd(), http.MethodGet, "/users/"+url.PathEscape(c.user)+"/devices", nil, &found); err != nil {
		return err
	}
	for _, d := range found.Devices {
		if d.Status == "active" {
			c.told.Phones = append(c.told.Phones, d.Name)
		}
	}
	return nil
}

// invite has the back end begin a registration.
func (g *Guide) invite(c *call) error {
	var begun struct{ ID, QR string }
	// A password is enough here to register a phone, which then opens the vault: in a demo nobody would show a passport.
	asked := map[string]any{"user_id": c.user, "application": g.Application, "proofed": true}
	err := c.api(g.backEnd(), http.MethodPost, "/operations/registration", asked, &begun)
	c.told.Operation, c.told.Invitation = begun.ID, begun.QR
	return err
}

// own refuses an operation that is not the person's. The path is that of the operation below the API.
func (c *call) own(by party, result any) (path string, err error) {
	path = "/operations/" + url.PathEscape(c.request.PathValue("operation"))
	var answer json.RawMessage
	if err := c.api(by, http.MethodGet, path, nil, &answer); err != nil {
		return "", err
	}
	var about struct {
		UserID string `json:"user_id"`
	}
	if err := json.Unmarshal(answer, &about); err != nil {
		return "", err
	}
	if about.UserID != c.user {
		c.told.Exchanges = c.told.Exchanges[:0] // they are somebody else's
		return "", errOther
	}
	return path, json.Unmarshal(answer, result)
}

// confirm brings the digits that the phone shows.
func (g *Guide) confirm(c *call) error {
	var asked struct {
		Digits string `json:"digits"`
	}
	if err := json.NewDecoder(io.LimitReader(c.request.Body, maxBody)).Decode(&asked); err != nil {
		return errDigits
	}
	path, err := c.own(g.backEnd(), &struct{}{})
	if err != nil {
		return err
	}
	var answer struct{ Confirmed bool }
	err = c.api(g.backEnd(), http.MethodPost, path+"/confirm", asked, &answer)
	c.told.Confirmed = answer.Confirmed
	return err
}

// receipt has an auditor read what was signed.
func (g *Guide) receipt(c *call) error {
	var operation struct{ Receipt string }
	_, err := c.own(g.auditor(), &operation)
	c.told.Receipt = operation.Receipt
	return err
}
