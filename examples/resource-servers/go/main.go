// SPDX-License-Identifier: Apache-2.0

// Command go is an API that is protected by the tokens of a Gatehouse elsewhere, with the middleware of package validation.
// See the README beside it.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	authority, err := authority(&http.Client{Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	policy := &validation.Policy{AllScopes: validation.Scopes{"accounts:read"}}
	protect := validation.Middleware(authority, policy, validation.Options{Realm: "accounts"})
	api := http.NewServeMux()
	api.Handle("GET /accounts", protect(http.HandlerFunc(accounts)))

	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: api, ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(listener)
}

func accounts(w http.ResponseWriter, r *http.Request) {
	principal, _ := validation.PrincipalFrom(r.Context())
	_, _ = fmt.Fprintf(w, "the accounts of %s\n", principal.Subject) // the client has gone
}

// authority judges tokens: by asking the issuer, for who has a secret, or else by the issuer's published keys.
func authority(client *http.Client) (validation.Authority, error) {
	issuer, audience := os.Getenv("ISSUER"), []string{os.Getenv("AUDIENCE")}
	if id := os.Getenv("CLIENT_ID"); id != "" {
		remember, err := time.ParseDuration(os.Getenv("REMEMBER"))
		if os.Getenv("REMEMBER") != "" && err != nil {
			return nil, err
		}
		if remember == 0 && err == nil {
			remember = -1 // ask for each request
		}
		return remote.NewIntrospector(remote.IntrospectorConfig{
			Issuer: issuer, Endpoint: issuer + "/introspect", ClientID: id, ClientSecret: os.Getenv("CLIENT_SECRET"),
			Audience: audience, Client: client, Now: time.Now, RememberFor: remember,
		})
	}
	keys, err := remote.NewKeys(remote.KeysConfig{Issuer: issuer, Client: client, Now: time.Now})
	if err != nil {
		return nil, err
	}
	validator, err := validation.New(validation.Config{Issuer: issuer, Audience: audience, Keys: keys, Now: time.Now})
	return validator, errors.Join(err)
}
