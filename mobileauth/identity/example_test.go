// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"fmt"
	"strings"

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

func ExampleStore_Import() {
	file := `{"login":"alice","password_hash":"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}
{"login":"bob","attributes":{"phone":31612345678}}
{"logins":["carol","carol@example.com"],"external_ref":"crm-42"}
`
	done, err := openExample().Import(context.Background(), identity.Source{
		Reader: strings.NewReader(file),
		Format: identity.NDJSON,
		OnLine: func(l identity.LineResult) {
			if l.Verdict == identity.Failed {
				fmt.Printf("line %d: %v\n", l.Line, l.Err)
			}
		},
	})
	fmt.Println(done.Added, "added,", done.Failed, "failed", err)
	// Output:
	// line 2: reading the line: member "attributes": want string
	// 2 added, 1 failed <nil>
}
