// The hashes below were made by Django 5.2, of this password.
const assert = require("node:assert")
const { existsSync } = require("node:fs")
const { test } = require("node:test")
const { verifies } = require("../django")

const PASSWORD = "Zażółć gęślą jaźń 1"
const HASHES = {
  pbkdf2_sha256: "pbkdf2_sha256$1000000$1wdH5kQcVF4JW86kSPTukc$hBkfqbM3uKMX+EnTre0jxQOdqYBD2iAQCc2z3t+r3d4=",
  pbkdf2_sha1: "pbkdf2_sha1$1000000$KDPl9iZfvw25ih8aPwZr6w$dK868yAX5QS2EXuJg0dZ0WrYV3Q=",
  bcrypt_sha256: "bcrypt_sha256$$2b$12$ftmnF6lwYiySnUGVHJw/hes8VCxH0.AAziVVXtETSXRI38v7JbwhK",
  bcrypt: "bcrypt$$2b$12$V4.kl9e7AnRxIeb/XJAoVuk.zZY7uEBUOHOV.XhSp19m6q1JzYKaO",
  md5: "md5$nVJTC3qhxoRIT41R6GhaRV$676efd39b9c1502401f5cd08b357d561",
}
const LONG = "x".repeat(71) + "1 tail that bcrypt alone would not see"
const HASH_OF_LONG = "bcrypt_sha256$$2b$12$C6ep0Qkz2JoZp/Xp2F7QPO7m.SPXEGKx9.bK7A8P5jjMenV5gUoH2"

const isInstalled = (name) => require.resolve.paths(name).some((folder) => existsSync(`${folder}/${name}`))
const NEEDS_BCRYPT = { skip: !isInstalled("bcryptjs") && "bcryptjs is not installed" }

for (const [algorithm, hash] of Object.entries(HASHES)) {
  test(`${algorithm}: the password is taken, another is not`, algorithm.startsWith("bcrypt") ? NEEDS_BCRYPT : {}, async () => {
    assert.equal(await verifies(hash, PASSWORD), true)
    assert.equal(await verifies(hash, PASSWORD + " "), false)
    assert.equal(await verifies(hash, PASSWORD.toLowerCase()), false)
    assert.equal(await verifies(hash, ""), false)
  })
}

test("bcrypt_sha256 tells long passwords apart behind their 72nd byte", NEEDS_BCRYPT, async () => {
  assert.equal(await verifies(HASH_OF_LONG, LONG), true)
  assert.equal(await verifies(HASH_OF_LONG, LONG + "!"), false)
})

test("of several accounts that were joined each has its password", async () => {
  assert.equal(await verifies([HASHES.md5, HASHES.pbkdf2_sha1], PASSWORD), true)
  assert.equal(await verifies(["md5$salt$00000000000000000000000000000000", HASHES.md5], PASSWORD), true)
  assert.equal(await verifies(["md5$salt$00000000000000000000000000000000"], PASSWORD), false)
  assert.equal(await verifies([], PASSWORD), false)
})

test("what Django would not verify verifies nothing, and nothing fails", async () => {
  for (const hash of [
    undefined, null, 7, {}, "", "$", "!Ssdxh1jXIF3bMrF6tvoUiJAU8Rs5I0zDagqfprJ9", // Django's unusable password
    PASSWORD, "plain$" + PASSWORD, "constructor$x", "toString$x", "pbkdf2_sha256", "pbkdf2_sha256$", "pbkdf2_sha256$1000$salt",
    "pbkdf2_sha256$0$salt$AAAA", "pbkdf2_sha256$1e3$salt$AAAA", "pbkdf2_sha256$-5$salt$AAAA", "md5$", "md5$$" +
    "d41d8cd98f00b204e9800998ecf8427e", "md5$salt$", "md5$salt$" + "ż".repeat(32), "pbkdf2_sha256$99999999999$salt$AAAA",
  ]) assert.equal(await verifies(hash, hash === PASSWORD ? PASSWORD : ""), false, String(hash))
})

test("a damaged bcrypt hash verifies nothing", NEEDS_BCRYPT, async () => {
  for (const hash of ["bcrypt$", "bcrypt$$2b$12$short", "bcrypt$" + "?".repeat(60), "bcrypt_sha256$$9z$12$" + "a".repeat(53)])
    assert.equal(await verifies(hash, ""), false, hash)
})

test("the server's loop goes on while a password is verified", async () => {
  let beats = 0
  const heart = setInterval(() => (beats += 1), 5)
  await verifies(HASHES.pbkdf2_sha256, PASSWORD)
  clearInterval(heart)
  assert.ok(beats > 3, `${beats} beats in all the time`)
})
