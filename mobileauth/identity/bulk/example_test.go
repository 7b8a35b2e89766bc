// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity/bulk"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func Example() {
	file := `{"login":"alice","password_hash":"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}
{"login":"bob","attributes":{"phone":31612345678}}
{"logins":["carol","carol@example.com"],"external_ref":"crm-42"}
`
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		panic(err)
	}
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		panic(err)
	}
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: clock.Now})
	if err != nil {
		panic(err)
	}
	done, err := bulk.Import(context.Background(), users, bulk.Source{
		Reader: strings.NewReader(file),
		Format: bulk.NDJSON,
		OnLine: func(l bulk.LineResult) {
			if l.Verdict == bulk.Failed {
				fmt.Printf("line %d: %v\n", l.Line, l.Err)
			}
		},
	})
	fmt.Println(done.Added, "added,", done.Failed, "failed", err)
	// Output:
	// line 2: reading the line: member "attributes": want string
	// 2 added, 1 failed <nil>
}
