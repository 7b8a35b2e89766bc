// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func openExample() *identity.Store {
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		panic(err)
	}
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if err != nil {
		panic(err)
	}
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: clock.Now})
	if err != nil {
		panic(err)
	}
	return users
}

func ExampleStore_Authenticate() {
	ctx, users := context.Background(), openExample()
	_, err := users.Add(ctx, identity.NewUser{
		Profile:  identity.Profile{Logins: []string{"Alice", "alice@example.com"}},
		Password: "correct horse battery staple",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, password := range []string{"a guess", "correct horse battery staple"} {
		out, err := users.Authenticate(ctx, identity.Attempt{Login: "ALICE", Password: password, ClientIP: "192.0.2.1"})
		if err != nil {
			fmt.Println(err) // nothing was decided: the answer is no
			return
		}
		fmt.Println(out.Result, out.User.Logins)
	}
	// Output:
	// refused []
	// accepted [alice alice@example.com]
}
