// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

// A resource server somewhere validates the access tokens of an issuer by the keys that the issuer publishes.
func ExampleNewKeys() {
	client := &http.Client{Timeout: 5 * time.Second}
	keys, err := remote.NewKeys(remote.KeysConfig{Issuer: "https://auth.example.com", Client: client, Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	validator, err := validation.New(validation.Config{
		Issuer: "https://auth.example.com", Audience: []string{"https://api.example.com"}, Keys: keys, Now: time.Now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = validation.Middleware(validator, &validation.Policy{AllScopes: validation.Scopes{"accounts:read"}}, validation.Options{})
	fmt.Println("nothing is fetched before the first token arrives")
	// Output: nothing is fetched before the first token arrives
}

// Tokens that only the issuer can read are asked about.
func ExampleNewIntrospector() {
	introspector, err := remote.NewIntrospector(remote.IntrospectorConfig{
		Issuer: "https://auth.example.com", Endpoint: "https://auth.example.com/introspect",
		ClientID: "accounts-api", ClientSecret: "from a file or the environment",
		Audience: []string{"https://api.example.com"}, Client: &http.Client{Timeout: 5 * time.Second}, Now: time.Now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = validation.Middleware(introspector, nil, validation.Options{})
	fmt.Println("ready")
	// Output: ready
}
