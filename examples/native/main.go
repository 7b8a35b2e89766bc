// SPDX-License-Identifier: Apache-2.0

// Command native is an app without a browser: it calls an API, and when more has to be proven for that, asks for it on a screen
// of its own, which here is the terminal. See the README beside it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	issuer := flag.String("issuer", "http://localhost:8080", "the authorization server")
	id := flag.String("client", "demo-native", "the client id of this app")
	scopes := flag.String("scopes", "openid accounts:read", "what to ask for at first")
	realms := flag.String("realms", "password", "the realms that this app has a screen for")
	language := flag.String("language", "en", "the language of the person")
	asksDevice := flag.String("device", "", "the realm that asks for the device, if any")
	app := flag.String("app", "demo-bank", "what this app says it is, as id")
	platform := flag.String("platform", "linux", "and platform")
	version := flag.String("version", "1.0", "and version")
	keys := flag.String("keys", "native-keys", "the folder where the key of this device is kept")
	code := flag.String("code", "", "what this app says to the operator's hooks, as its code")
	bound := flag.Bool("dpop", false, "have tokens bound to a key of this process")
	tokens := flag.String("tokens", "", "a file to copy the tokens into, as a thief would, in the place of a logout")
	flag.Parse()

	screen := &screen{in: bufio.NewReader(os.Stdin), out: os.Stdout, seen: map[string]bool{}}
	handlers := map[string]client.Handler{}
	for realm := range strings.FieldsSeq(*realms) {
		handlers[realm] = screen // a real app has a screen for each
	}
	if *asksDevice != "" {
		installed, err := device.New(device.Config{
			App: device.App{ID: *app, Platform: *platform, Version: *version}, Device: device.Properties{OS: runtime.GOOS},
			Storage: device.Folder(*keys), Now: time.Now, Custom: says(*code),
		})
		if err != nil {
			return err
		}
		handlers[*asksDevice] = installed
	}
	config := client.Config{
		Issuer: *issuer, ClientID: *id, Scopes: strings.Fields(*scopes), Handlers: handlers, UILocales: []string{*language},
		Notify: screen.Notify, HTTP: &http.Client{Timeout: 30 * time.Second}, Now: time.Now,
	}
	if *bound {
		config.DPoP = &client.DPoP{} // a phone has a key store, and gives a key of it
	}
	gate, err := client.New(config)
	if err != nil {
		return err
	}
	api := &http.Client{Transport: gate.Transport(http.DefaultTransport)}
	for _, address := range flag.Args() {
		if err := call(ctx, api, address); err != nil {
			return err
		}
	}
	if *tokens != "" {
		return leak(*tokens, gate.Tokens())
	}
	return gate.Logout(ctx)
}

// leak writes tokens where they do not belong, for walks through what they are worth there.
func leak(path string, t client.Tokens) error {
	text, err := json.Marshal(map[string]string{"access_token": t.Access, "token_type": t.Type, "refresh_token": t.Refresh})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// says is what the app adds to its answers about the device, as long as there is something.
func says(code string) func(context.Context) (map[string]string, error) {
	if code == "" {
		return nil
	}
	return func(context.Context) (map[string]string, error) { return map[string]string{"code": code}, nil }
}

// call shows what an API answers. Everything about tokens happens in the client's transport.
func call(ctx context.Context, api *http.Client, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := api.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	fmt.Printf("%s: %s\n%s\n", address, response.Status, body)
	return err
}

// screen asks for what realms want to know.
type screen struct {
	in   *bufio.Reader
	out  io.Writer
	seen map[string]bool // notices that were shown
}

// errCancelled is returned when the person has had enough.
var errCancelled = errors.New("cancelled")

// Notify shows what people are told, once.
func (s *screen) Notify(_ context.Context, n client.Notice) {
	if !s.seen[n.ID] {
		s.seen[n.ID] = true
		s.say("%s %s", n.Text, n.URL)
	}
}

// Answer shows a challenge and reads the answers.
func (s *screen) Answer(ctx context.Context, c client.Challenge) (map[string]string, error) {
	if c.Notice != nil {
		s.Notify(ctx, *c.Notice)
	}
	if c.Failure != nil {
		s.say("%s", c.Failure.Message)
		if wait := c.Failure.RetryAfter(); wait > 0 {
			s.say("Try again in %s.", wait)
		}
	}
	if c.Message != "" {
		s.say("%s", c.Message)
	}
	answers := map[string]string{}
	for _, field := range c.Fields {
		answer, err := s.ask(field)
		if err != nil {
			return nil, err
		}
		answers[field.Name] = answer
	}
	return answers, nil
}

// ask reads one field: a secret without showing it, where there is a terminal.
func (s *screen) ask(f client.Field) (string, error) {
	s.write("%s: ", f.Label)
	if f.Type == "password" && term.IsTerminal(int(os.Stdin.Fd())) {
		secret, err := term.ReadPassword(int(os.Stdin.Fd()))
		s.say("")
		return string(secret), err
	}
	line, err := s.in.ReadString('\n')
	if errors.Is(err, io.EOF) {
		return "", errCancelled
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (s *screen) say(format string, args ...any) { s.write(format+"\n", args...) }

func (s *screen) write(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...) // a terminal that is gone reads nothing either
}
