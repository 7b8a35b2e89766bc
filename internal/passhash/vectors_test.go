// SPDX-License-Identifier: Apache-2.0

package passhash_test

// vector is a hash that another program made.
type vector struct{ name, password, hash string }

const horse = "correct horse"

// vectors come from programs that share no code with ours: passlib 1.7.4 with the C libraries of bcrypt, Argon2 and OpenSSL,
// Django 3.2, "openssl passwd" 3.0 and crypt of libxcrypt 4.4.
var vectors = []vector{
	{"passlib bcrypt 2b", horse, "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"},
	{"passlib bcrypt 2y", horse, "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"},
	{"passlib bcrypt 2a", "pässwörd", "$2a$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC"},
	{"Django bcrypt", horse, "bcrypt$$2b$04$R5J8t8T2BhSCNHdpcqSCTePBmIKqEJKzfxHdfibtwLYyfcWTtEQk."},
	{"Django bcrypt_sha256", horse, "bcrypt_sha256$$2b$04$tBwkrOI4vZA3grfYk1AhHuMbPr4wEL/kppOUKIqpaqohX8ICamase"},
	{"passlib argon2id", horse, "$argon2id$v=19$m=64,t=2,p=2$c2FsdHNhbHQxMjM0NTY3OA$liJ4EFRF3HyTVhPwChdVdQ"},
	{"passlib argon2i", horse, "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQxMjM0NTY3OA$uVh120aGT3W/com0Os1SGw"},
	{"Django argon2", horse, "argon2$argon2id$v=19$m=64,t=2,p=2$c2Vhc2FsdHNlYXNhbHQ$DPQi1XXjg+7VFwt2lHjyHg"},
	{"passlib scrypt", horse, "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$rkTI9fAgA7thDzzR8FHXhMiojYBreJBmYTkEzWypBCQ"},
	{"passlib scrypt, parallel", "pässwörd", "$scrypt$ln=5,r=4,p=3$//79MDEyMzQ1Njc4OWFi$hsUd6MR7i5UlUDo727KxezG0mtCqHjNe4aBPY41EvQA"},
	{"passlib scrypt of crypt's form", horse, "$7$26..../....saltsalt$Z9yFDfCxO33WKNBvCje.GdWi6kQGQq/KYcXKmpw67F7"},
	{"crypt scrypt", horse, "$7$26..../....someSALT.salt/$YwDlNbLxnPlxkea1Qlh1pEzzCTpdz6tD2L16j2MHDh3"},
	{"crypt scrypt, parallel", "pässwörd", "$7$32....1....x$k3KPJPbanZqQ.XKajzgvOixBeQJIL928FwToUNatcP/"},
	{"Django scrypt", horse, "scrypt$16$seasalt$8$1$Qxil8nWcIy12YNMYpeV1hXKvwFi5h+x4wHI8WQTJ3/j1NecrriM2mkKB8IaqWjz6RUXfHzR5O5kG1jYWwbPuBA=="},
	{"passlib PBKDF2, SHA-1", horse, "$pbkdf2$20$//5zYWx0c2FsdA$ujh60zaNLSbQGwFA8PBuijt29sM"},
	{"passlib PBKDF2, SHA-256", horse, "$pbkdf2-sha256$20$//5zYWx0c2FsdA$rRzag.OGIAs7donFlrtqlBqxjOU227djzCgNT.HSdLk"},
	{"passlib PBKDF2, SHA-512", horse, "$pbkdf2-sha512$20$//5zYWx0c2FsdA$Ybanfmewof91vMJezGjVyjjU0jFX2r0RxXKFvnTB8nEBGCLYwEV9fkBO.vPCc4YtvGLZv8LARtX7.PMv0g9tuQ"},
	{"the same, PHC", horse, "$pbkdf2-sha256$i=20,l=32$//5zYWx0c2FsdA$rRzag+OGIAs7donFlrtqlBqxjOU227djzCgNT+HSdLk"},
	{"the same, PHC without a length", horse, "$pbkdf2-sha256$i=20$//5zYWx0c2FsdA$rRzag+OGIAs7donFlrtqlBqxjOU227djzCgNT+HSdLk"},
	{"the same, named SHA-1", horse, "$pbkdf2-sha1$i=20$//5zYWx0c2FsdA$ujh60zaNLSbQGwFA8PBuijt29sM"},
	{"Django PBKDF2, SHA-256", horse, "pbkdf2_sha256$20$seasalt$g3dGJQ8owMYyhK9ZquyN7VEHZB9iVlMqw6PFWQ9oG7A="},
	{"Django PBKDF2, SHA-1", horse, "pbkdf2_sha1$20$seasalt$c/Y3+dcwESisB7LZ2CQ/odjBuKI="},
	{"openssl passwd -5", horse, "$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC"},
	{"openssl passwd -5, rounds", horse, "$5$rounds=1234$rndsalt$bEdLKXpD1dsCwTD7gMkYnFx0mRhL.0rh/boZbPKLm01"},
	{"openssl passwd -6", horse, "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/"},
	{"openssl passwd -6, rounds", horse, "$6$rounds=1234$rndsalt$9fZtqsWEl3X2X1sMDePvNVtlkMLtzNCPpk36oMVwlzv0sSphOMI8QifQ63FhZ96CF1YpgS4IXqGMt/XldehhI1"},
	{"crypt -6, short salt", horse, "$6$rounds=1000$ab$9/m79hJI.7Z/Rzu8Ffxsl/au2xxVayqEc5znsbBv64blJ1mLhjkXwL17M/GGrfnwat1g0HVoUkZmTAEbjwwCj/"},
	{"openssl passwd -5, the example of the specification", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
	{"openssl passwd -6, the example of the specification", "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
}
