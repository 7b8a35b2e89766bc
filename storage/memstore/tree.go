// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"hash/maphash"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

// node is a treap: a search tree by key and a heap by a priority drawn from the key, which keeps it balanced without
// bookkeeping. Nodes are never changed: a write copies the path from the root, so every root ever seen stays a snapshot.
type node struct {
	item        *storage.Item
	priority    uint64
	left, right *node
}

var seed = maphash.MakeSeed()

// find returns the item at key, or nil. Items are compared by address: the same address is the same write.
func (n *node) find(key string) *storage.Item {
	for n != nil {
		switch c := strings.Compare(key, n.item.Key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.item
		}
	}
	return nil
}

// with returns the tree in which item stands under its key.
func (n *node) with(item *storage.Item) *node {
	if n == nil {
		return &node{item: item, priority: maphash.String(seed, item.Key)}
	}
	grown := *n
	switch c := strings.Compare(item.Key, n.item.Key); {
	case c < 0:
		grown.left = n.left.with(item)
		if child := grown.left; child.priority > grown.priority {
			// The child was copied on the way down, so it may be changed here.
			grown.left, child.right = child.right, &grown
			return child
		}
	case c > 0:
		grown.right = n.right.with(item)
		if child := grown.right; child.priority > grown.priority {
			grown.right, child.left = child.left, &grown
			return child
		}
	default:
		grown.item = item
	}
	return &grown
}

// without returns the tree in which nothing stands under key.
func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	cut := *n
	switch c := strings.Compare(key, n.item.Key); {
	case c < 0:
		cut.left = n.left.without(key)
	case c > 0:
		cut.right = n.right.without(key)
	default:
		return merge(n.left, n.right)
	}
	return &cut
}

// merge joins two trees of which every key of the first is below every key of the second.
func merge(low, high *node) *node {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.priority > high.priority:
		joined := *low
		joined.right = merge(low.right, high)
		return &joined
	default:
		joined := *high
		joined.left = merge(low, high.left)
		return &joined
	}
}

// ascend calls yield for the items from first on, in order, until yield returns false.
func (n *node) ascend(first string, yield func(*storage.Item) bool) bool {
	if n == nil {
		return true
	}
	if n.item.Key < first {
		return n.right.ascend(first, yield)
	}
	return n.left.ascend(first, yield) && yield(n.item) && n.right.ascend(first, yield)
}
