// Medusa's log-in by e-mail and password for customers who come from an Oscar shop. It replaces the stock provider `emailpass`:
// same URLs, same storefront. Customers bring Django's hash of their password in provider_metadata:
//
//   { "legacy": { "scheme": "django", "hash": "pbkdf2_sha256$…" } }      or a list of hashes, where accounts were joined
//
// At the first log-in the hash is verified and replaced by Medusa's own. Then everything is as if they had registered here.
const { ModuleProvider, Modules } = require("@medusajs/framework/utils")
const { EmailPassAuthService } = require("@medusajs/auth-emailpass/dist/services/emailpass")
const { verifies } = require("./django")

require("bcryptjs") // if it is missing, this is said at the start and not at somebody's log-in

const lowerCase = (email) => email.trim().toLowerCase()

// An update of metadata is merged into what is stored: only a null takes the old hash away.
const WITHOUT_OLD = { legacy: null }

class OscarEmailPassService extends EmailPassAuthService {
  async authenticate(data, identities) {
    const { email, password } = data.body ?? {}
    if (typeof email !== "string" || typeof password !== "string") return super.authenticate(data, identities)
    const entity_id = lowerCase(email)
    const identity = await this.find_(entity_id, identities)
    // Who was registered by the stock provider may be stored with capitals.
    if (!identity) return super.authenticate(data, identities)
    const { legacy } = this.getProviderIdentity_(identity).provider_metadata ?? {}
    if (legacy?.scheme === "django" && (await verifies(legacy.hash, password))) {
      const own = await this.hashPassword(password)
      await identities.update(entity_id, { provider_metadata: { ...WITHOUT_OLD, password: own } })
    }
    return super.authenticate({ ...data, body: { ...data.body, email: entity_id } }, identities)
  }

  async register(data, identities) {
    const { email } = data.body ?? {}
    if (typeof email !== "string") return super.register(data, identities)
    return super.register({ ...data, body: { ...data.body, email: lowerCase(email) } }, identities)
  }

  // What the stock provider keeps when a person sets a new password: all but the hash of the old one.
  async getProviderMetadata_(entity_id, identities) {
    return { ...(await super.getProviderMetadata_(entity_id, identities)), ...WITHOUT_OLD }
  }

  // No answer tells what is stored, even to its owner.
  sanitizeAuthIdentity_(identity) {
    const copy = super.sanitizeAuthIdentity_(identity)
    delete this.getProviderIdentity_(copy).provider_metadata?.legacy
    return copy
  }

  async find_(entity_id, identities) {
    try {
      return await identities.retrieve({ entity_id })
    } catch (error) {
      if (error.type === "not_found") return null
      throw error
    }
  }
}

module.exports = ModuleProvider(Modules.AUTH, { services: [OscarEmailPassService] })
