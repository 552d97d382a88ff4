// Medusa as the new shop: nothing but its defaults, and the log-in provider that the route ships.
const { defineConfig } = require("@medusajs/framework/utils")

module.exports = defineConfig({
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false, sslmode: "disable" },
    http: {
      storeCors: "http://127.0.0.1:8000",
      adminCors: "http://127.0.0.1:9000",
      authCors: "http://127.0.0.1:9000,http://127.0.0.1:8000",
      jwtSecret: "a shop for tests",
      cookieSecret: "a shop for tests",
    },
  },
  // Its pages are built when they are first opened, which takes a minute: tests do without.
  admin: { disable: process.env.MEDUSA_ADMIN !== "on" },
  modules: [
    {
      resolve: "@medusajs/medusa/auth",
      options: { providers: [{ resolve: require.resolve("./auth-provider"), id: "emailpass" }] },
    },
  ],
})
