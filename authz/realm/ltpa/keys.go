// SPDX-License-Identifier: Apache-2.0

package ltpa

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // #nosec G502 -- the key files of WebSphere are wrapped with 3DES; nothing of ours is
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- the wrapping key is the password's SHA-1; nothing of ours is
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// DefaultPassword is the one that Liberty protects its first key file with: the file is then as good as unprotected.
const DefaultPassword = "WebAS" //nolint:gosec // G101: it is in the documentation of everybody who has one

// Properties of a key file.
const (
	propertyPrefix  = "com.ibm.websphere.ltpa."
	propertyVersion = propertyPrefix + "version"
	propertyShared  = propertyPrefix + "3DESKey"
	propertyPublic  = propertyPrefix + "PublicKey"
)

// foreign are words in the names of properties that only files of another kind have: AES-256 and RSA with 2048 bits for FIPS, and
// the hybrid signatures of newer servers. Verifying their tokens as if they were the usual ones could only go wrong.
var foreign = []string{"sharedkey", "cryptomode", "pqc"}

// Sizes of keys, in bytes.
const (
	secretSize   = 24 // of which AES-128 takes the first 16
	modulusSize  = 128
	exponentSize = 3
	exponent     = 65537
)

// Keys verify the tokens of one server, or of all servers that share a key file.
type Keys struct {
	shared cipher.Block
	iv     []byte
	public *rsa.PublicKey
}

// ParseKeys reads a key file and unwraps its shared key with the password. Of the two RSA keys only the public one is looked at.
// Errors name the property that is wrong and never what it holds.
func ParseKeys(file []byte, password string) (*Keys, error) {
	properties, err := parseProperties(file)
	if err != nil {
		return nil, fmt.Errorf("reading the LTPA key file: %w", err)
	}
	for name := range properties {
		for _, word := range foreign {
			if strings.Contains(strings.ToLower(name), word) {
				return nil, fmt.Errorf("reading the LTPA key file: the property %q belongs to the FIPS or hybrid variant, "+
					"whose tokens are not supported: export the keys of the usual variant", name)
			}
		}
	}
	if version := properties[propertyVersion]; version != "" && version != "1.0" {
		return nil, fmt.Errorf("reading the LTPA key file: the version is %q, and 1.0 alone is supported", version)
	}
	keys := &Keys{}
	if err := keys.unwrap(properties[propertyShared], password); err != nil {
		return nil, fmt.Errorf("reading the LTPA key file: %s: %w", propertyShared, err)
	}
	if keys.public, err = parsePublic(properties[propertyPublic]); err != nil {
		return nil, fmt.Errorf("reading the LTPA key file: %s: %w", propertyPublic, err)
	}
	return keys, nil
}

var errPassword = errors.New("it does not open: the password is wrong, or the file is damaged")

// unwrap opens the shared key: 3DES in ECB mode under the password's SHA-1 and four zero bytes. The length of what comes out is
// fixed, and so is all of the padding, which a wrong password meets by chance once in 2^64.
func (k *Keys) unwrap(encoded, password string) error {
	wrapped, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(wrapped) != secretSize+des.BlockSize {
		return errors.New("it is missing, or no wrapped key of 24 bytes")
	}
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- the format's
	key := make([]byte, secretSize)
	copy(key, sum[:])
	block, err := des.NewTripleDESCipher(key) // #nosec G405 -- the format's
	if err != nil {
		return err
	}
	secret := make([]byte, len(wrapped))
	for at := 0; at < len(wrapped); at += des.BlockSize {
		block.Decrypt(secret[at:], wrapped[at:])
	}
	for _, b := range secret[secretSize:] {
		if b != des.BlockSize {
			return errPassword
		}
	}
	k.iv = secret[:aes.BlockSize]
	k.shared, err = aes.NewCipher(k.iv) // the initialization vector is the key: the format's
	return err
}

// parsePublic reads a modulus of 1024 bits, with a zero before it, and the exponent.
func parsePublic(encoded string) (*rsa.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+modulusSize+exponentSize || raw[0] != 0 {
		return nil, errors.New("it is missing, or no RSA key of 1024 bits")
	}
	n := new(big.Int).SetBytes(raw[:1+modulusSize])
	e := new(big.Int).SetBytes(raw[1+modulusSize:])
	if n.BitLen() != 8*modulusSize || n.Bit(0) == 0 || e.Cmp(big.NewInt(exponent)) != 0 {
		return nil, errors.New("it is no RSA key of 1024 bits with the exponent 65537")
	}
	return &rsa.PublicKey{N: n, E: exponent}, nil
}
