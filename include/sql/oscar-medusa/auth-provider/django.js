// The password hashes of django.contrib.auth.hashers: algorithm$…, as they stand in auth_user.password.
const { createHash, pbkdf2, timingSafeEqual } = require("node:crypto")
const { promisify } = require("node:util")

const derive = promisify(pbkdf2) // the synchronous one would stop the server for half a second

const same = (text, stored) => {
  const [one, other] = [Buffer.from(text), Buffer.from(stored)]
  return one.length === other.length && timingSafeEqual(one, other)
}

const stretched = (digest, length) => async (rest, password) => {
  const [rounds, salt, sum] = rest.split("$")
  if (!/^[1-9][0-9]{0,8}$/.test(rounds) || !salt || !sum) return false
  return same((await derive(password, salt, Number(rounds), length, digest)).toString("base64"), sum)
}

const isBcrypt = (text, hash) => require("bcryptjs").compare(text, hash).catch(() => false) // of a damaged hash it is an error

const VERIFY = {
  pbkdf2_sha256: stretched("sha256", 32),
  pbkdf2_sha1: stretched("sha1", 20),
  // bcrypt looks at 72 bytes and stops at a zero; so Django's default hands it a digest of the password, in hex.
  bcrypt: (rest, password) => isBcrypt(password, rest),
  bcrypt_sha256: (rest, password) => isBcrypt(createHash("sha256").update(password).digest("hex"), rest),
  md5: async (rest, password) => {
    const [salt, sum] = rest.split("$")
    return Boolean(salt && sum) && same(createHash("md5").update(salt + password).digest("hex"), sum)
  },
}

// Tells whether one of the hashes is of this password. What Django would not verify (an unusable password, an algorithm that is
// not known, a damaged hash) verifies nothing.
async function verifies(hashes, password) {
  for (const hash of [hashes].flat()) {
    if (typeof hash !== "string") continue
    const end = hash.indexOf("$")
    const algorithm = hash.slice(0, end)
    if (end > 0 && Object.hasOwn(VERIFY, algorithm) && (await VERIFY[algorithm](hash.slice(end + 1), password))) return true
  }
  return false
}

module.exports = { verifies }
